"""Which workflows there are: by entry point, by CASEHAND_WORKFLOWS, and what is said when that goes wrong."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from casehand import Bot, CasehandError
from casehand.workflows.installed import find_workflow, installed_workflows, needed_bots

MODULE = '''
from casehand import Case, CaseData, workflow


class Row(CaseData):
    claim: str


@workflow("{name}", reference="claim")
def work(case: Case[Row]) -> None:
    """Does nothing."""
'''

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a module that can be imported, and forgets it after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(path: str, text: str) -> None:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("authored"):
            del sys.modules[name]


def test_the_sample_is_found_by_its_entry_point() -> None:
    assert "housing-benefit/rent-change" in installed_workflows()


def test_modules_and_packages_are_found_by_name(write: Write) -> None:
    write("authored_one.py", MODULE.format(name="one"))
    write("authored_two/__init__.py", "")
    write("authored_two/inner/__init__.py", "")
    write("authored_two/inner/work.py", MODULE.format(name="two"))
    assert {"one", "two"} <= installed_workflows("authored_one, authored_two,").keys()


def test_a_workflow_that_another_module_imports_is_the_same_workflow(write: Write) -> None:
    write("authored_first.py", MODULE.format(name="shared"))
    write("authored_second.py", "from authored_first import work")
    assert "shared" in installed_workflows("authored_first,authored_second")


def test_two_workflows_of_one_name_are_refused(write: Write) -> None:
    write("authored_a.py", MODULE.format(name="same"))
    write("authored_b.py", MODULE.format(name="same"))
    with pytest.raises(CasehandError, match="two workflows are named same: rename one of them"):
        installed_workflows("authored_a,authored_b")


def test_a_module_that_is_not_there_is_named_with_the_setting_that_names_it() -> None:
    with pytest.raises(CasehandError, match=r"^authored_nowhere cannot be imported .*CASEHAND_WORKFLOWS$"):
        installed_workflows("authored_nowhere")


def test_a_module_with_a_fault_is_named_with_the_fault(write: Write) -> None:
    write("authored_wrong.py", "1 / 0\n")
    with pytest.raises(CasehandError, match=r"authored_wrong cannot be imported .ZeroDivisionError"):
        installed_workflows("authored_wrong")


def test_a_fault_deep_in_a_package_is_named_in_one_line(write: Write) -> None:
    write("authored_deep/__init__.py", "")
    write("authored_deep/broken.py", "this is no python\n")
    with pytest.raises(CasehandError, match="SyntaxError") as caught:
        installed_workflows("authored_deep")
    assert "\n" not in str(caught.value)


def test_the_nearest_names_are_offered() -> None:
    installed = installed_workflows()
    with pytest.raises(CasehandError, match=r"rent-change or housing-benefit/stop-notice\?$"):
        find_workflow(installed, "housing-benefits/rent-chnage")
    with pytest.raises(CasehandError, match="set CASEHAND_WORKFLOWS"):
        find_workflow({}, "anything")


def test_two_bots_of_one_name_are_refused() -> None:
    class First(Bot):
        name = "benefits"

    class Second(Bot):
        name = "benefits"

    class Workflows:
        def __init__(self, bot: type[Bot]) -> None:
            self.bots = {"bot": bot}

    with pytest.raises(CasehandError, match="two bots are named benefits"):
        needed_bots([Workflows(First), Workflows(Second)])  # type: ignore[list-item]
