# Casehand: `make demo` shows it at work, `make test` runs its tests. Nothing is left outside .venv/ and .casehand/.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Looked for only when a target needs it.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)
INSTALL := -m pip install --quiet --disable-pip-version-check
CACHE := .casehand/cache

# Compiled once, as an installed package is, and kept with the other caches.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(CACHE)/pycache
export RUFF_CACHE_DIR := $(CACHE)/ruff
export MYPY_CACHE_DIR := $(CACHE)/mypy
export HYPOTHESIS_STORAGE_DIRECTORY := $(CACHE)/hypothesis

# A browser that is killed leaves its profile in the temp directory. PostgreSQL's own user must be able to pass.
CLEARING_TMP = mine="$$(mktemp -d)"; trap 'rm -rf "$$mine"' EXIT; trap 'exit 130' INT TERM; chmod 711 "$$mine"; TMPDIR="$$mine"

# Most of the suite is waiting for leases and pauses, so three at once on two cores. A file's tests share a set-up.
SIDE_BY_SIDE := --numprocesses 3 --dist loadfile --no-loadscope-reorder

# An environment that was moved, or whose Python has gone, is made anew.
ifneq ($(wildcard .venv/installed),)
$(shell [ "$$(cat .venv/installed)" = "$$(pwd -P)" ] && .venv/bin/python -c '' 2>/dev/null || rm -f .venv/installed)
endif

.PHONY: help
help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: .venv/checked ## show Casehand at work: a practice system, a sample batch, two workers
	@$(CLEARING_TMP) .venv/bin/casehand demo $(ARGS)

.PHONY: test
test: .venv/checked ## run all tests; ARGS are pytest's, as in: make test ARGS='tests/queue -k lease'
	@$(CLEARING_TMP) .venv/bin/pytest -o cache_dir=$(CACHE)/pytest $(SIDE_BY_SIDE) $(ARGS)

.PHONY: faults
faults: .venv/checked ## kill everything at every moment and print the table (hours); as in: make faults ARGS='--ledger sqlite'
	@PYTHONPATH=tests .venv/bin/python -m faults $(ARGS)
	@PYTHONPATH=tests .venv/bin/python -m faults --workers 2 --lanes 3 --lasting 10 $(ARGS)
	@FAULTS_EVERY=1 .venv/bin/pytest -p no:cacheprovider tests/faults/test_exhaustive.py
	@OUTAGE_CASES=300 OUTAGE_SECONDS=120 .venv/bin/pytest -p no:cacheprovider --timeout 1800 tests/test_systems.py -k outage

.PHONY: soak
soak: .venv/checked ## work 1,000 cases for twenty minutes with a random fault every few seconds
	@PYTHONPATH=tests .venv/bin/python -m faults.soak $(ARGS)

.PHONY: bench
bench: .venv/checked .casehand/bench/.venv/installed ## measure Casehand beside its peers into bench/results.md; ARGS=--quick takes five minutes
	@$(CLEARING_TMP) PYTHONPATH=tests .venv/bin/python -m bench $(ARGS)

.PHONY: check
check: .venv/installed home ## look for faults without running anything: ruff and mypy
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

.PHONY: screenshots
screenshots: .venv/checked ## write a picture of every page of the console, wide and narrow, to docs/images/console/
	@$(CLEARING_TMP) SCREENSHOTS=docs/images/console .venv/bin/pytest -o cache_dir=$(CACHE)/pytest tests/console/web/test_every_page.py $(ARGS)

.PHONY: vendor
vendor: .venv/installed ## for maintainers: fetch the styles and scripts of the web pages anew (needs npm)
	@.venv/bin/python -m casehand.console.web.vendor

.PHONY: constraints
constraints: python ## write constraints.txt anew with the newest versions that fit
	@rm -rf $(CACHE)/constraints
	@$(PYTHON) -m venv $(CACHE)/constraints
	@# redis needs async-timeout before Python 3.11.3, and setuptools builds us.
	@$(CACHE)/constraints/bin/python $(INSTALL) --upgrade setuptools async-timeout -e '.[dev]'
	@$(CACHE)/constraints/bin/python -m pip freeze --all --exclude-editable | grep -v '^pip==' > constraints.txt
	@rm -rf $(CACHE)/constraints src/casehand.egg-info

.PHONY: python
python:
	@[ -n "$(PYTHON)" ] || { echo "Casehand needs Python 3.11 or newer: install it, or say where it is: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python lacks its venv module: run 'sudo apt-get install python3-venv', then make again" >&2; exit 1; }

# Before a cache makes it: others are not to look into it.
.PHONY: home
home:
	@mkdir -p .casehand && chmod 700 .casehand

# The environment, made anew when what it is made from has changed. Pip of whatever age builds with the same setuptools.
.venv/installed: pyproject.toml constraints.txt | python
	@echo "Installing into .venv (about a minute)"
	@$(PYTHON) -m venv --clear .venv
	@PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt .venv/bin/python $(INSTALL) -e '.[dev]'
	@rm -rf src/casehand.egg-info
	@pwd -P > $@

# The peers of the benchmarks, in an environment of their own.
.casehand/bench/.venv/installed: bench/requirements.txt | python home
	@echo "Installing the benchmarks' peers into .casehand/bench/.venv (about a minute)"
	@$(PYTHON) -m venv --clear .casehand/bench/.venv
	@.casehand/bench/.venv/bin/python $(INSTALL) -r $<
	@touch $@

# What the machine lacks besides, the browser above all.
.venv/checked: .venv/installed | home
	@.venv/bin/casehand doctor --mend
	@touch $@
