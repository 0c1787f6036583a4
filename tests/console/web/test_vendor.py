"""What the pages are styled and moved by: vendored with its version, checksum and licence, without what is GOV.UK's."""

import json
import re

import pytest

from casehand.console.web.rendering import STATIC
from casehand.console.web.vendor import MANIFEST, PACKAGES, VENDOR, checksum, stripped

BRAND = re.compile(r"(?i:gds.?transport|crest|crown|logotype)|@font-face|fonts/|\burl\(")
KINDS = {".css", ".js", ".json", ".txt", ".svg"}


def entries() -> list[dict[str, object]]:
    """What the manifest says."""
    said: list[dict[str, object]] = json.loads((VENDOR / MANIFEST).read_text())
    return said


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: str(entry["name"]))
def test_each_file_is_the_one_that_the_manifest_names(entry: dict[str, dict[str, str]]) -> None:
    assert entry["version"]
    assert entry["licence"] in ("MIT", "0BSD")
    for name, sum_then in entry["sha256"].items():
        assert checksum(VENDOR / name) == sum_then, name


def test_nothing_is_there_that_the_manifest_does_not_name() -> None:
    named = {name for entry in entries() for name in entry["sha256"]}  # type: ignore[attr-defined]
    assert {file.name for file in VENDOR.iterdir()} == named | {MANIFEST, "LICENCES.txt"}


def test_the_manifest_is_of_the_versions_that_would_be_fetched() -> None:
    assert {(one["name"], one["version"]) for one in entries()} == {
        (one.name, one.version) for one in PACKAGES
    }


def test_the_licences_are_beside_them() -> None:
    text = (VENDOR / "LICENCES.txt").read_text()
    for package in PACKAGES:
        assert f"{package.name} {package.version}" in text


def test_no_typeface_crest_or_logo_of_gov_uk_is_left() -> None:
    found = [
        f"{file.name}: {match.group()}"
        for file in VENDOR.iterdir()
        if file.suffix in (".css", ".js")
        for match in BRAND.finditer(file.read_text())
    ]
    assert not found
    assert {file.suffix for file in STATIC.rglob("*") if file.is_file()} <= KINDS


def test_what_is_stripped_is_only_what_must_be() -> None:
    style = (
        "@font-face{font-family:GDS Transport;src:url(/x.woff2)}.a{font-family:GDS Transport,arial,sans-serif}"
        ".govuk-footer__copyright-logo:before{background:url(/crest.svg)}"
        "@media print{.govuk-header__logotype{x:1}.b{c:d}}"
        "\n/*# sourceMappingURL=x.map */"
    )
    assert stripped(style).startswith(".a{font-family:system-ui,")
    assert stripped(style).endswith("}@media print{.b{c:d}}\n")


def test_nothing_of_the_pages_comes_from_elsewhere_or_stands_in_a_page() -> None:
    for template in (STATIC.parent / "templates").rglob("*.html"):
        text = template.read_text()
        assert not re.search(r"""(?:src|href|action)=["']https?:""", text), template
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text), template
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), template
