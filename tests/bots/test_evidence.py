"""Evidence: personal values are masked wherever they stand, and nothing is written in clear."""

import stat
from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from playwright.sync_api import Browser, Page

from casehand.bots.evidence import COVER, Evidence, read_evidence, remove_drafts

NAME = "Ms Test Alder"

PLACES = {
    "a cell": "<table><tr><td id=x>Ms Test Alder</td></tr></table>",
    "a sentence": "<p id=x>The claim of ms test  alder is live.</p>",
    "several elements": "<p id=x>Ms <b>Test</b> Alder</p>",
    "several lines": "<p id=x>Ms\nTest\n   Alder</p>",
    "a no-break space": "<p id=x>Ms&nbsp;Test&nbsp;Alder</p>",
    "a box": "<input id=x value='Ms Test Alder'>",
    "a box for much text": "<textarea id=x>Ms Test Alder</textarea>",
    "a list": "<select id=x><option>Mr Test Birch<option selected>Ms Test Alder</select>",
    "a link": "<a id=x href='#'>Ms Test Alder</a>",
}


PLACE = """element => {
  const {left, top, width, height} = element.getBoundingClientRect();
  return [left, top, width, height];
}"""
COLOURS = """async ([picture, {x, y, width, height}]) => {
  const image = new Image();
  image.src = 'data:image/jpeg;base64,' + picture;
  await image.decode();
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [image.width, image.height];
  const drawn = canvas.getContext('2d');
  drawn.drawImage(image, 0, 0);
  const {data} = drawn.getImageData(x + 2, y + 2, width - 4, height - 4);
  return [...data].filter((_, index) => index % 4 !== 3);
}"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        yield context.new_page()


def seal(content: bytes) -> bytes:
    """As good as a cipher for these tests: nothing of the content can be read."""
    return bytes(byte ^ 0xA5 for byte in content)


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path / "case/1", seal, [NAME])


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_personal_value_is_found_wherever_it_stands_and_nothing_else_is(page: Page, place: str) -> None:
    page.set_content(f"<h1>Claim HB000101</h1>{place}<p>Mr Test Birch</p>")
    page.evaluate(COVER, [NAME])
    covered = page.locator("#casehand-cover > div").evaluate_all(f"boxes => boxes.map({PLACE})")
    assert covered == [page.locator("#x").evaluate(PLACE)]


@pytest.mark.parametrize(
    "shown",
    [
        f"<p id=x>{NAME}</p>",
        f"<p id=x style='position: fixed; z-index: 2147483647'>{NAME}</p>",
        f"<dialog><p id=x>{NAME}</p></dialog><script>document.querySelector('dialog').showModal()</script>",
    ],
    ids=["a paragraph", "one on top", "a dialog of the page"],
)
def test_a_picture_shows_black_where_a_personal_value_stands(page: Page, tmp_path: Path, shown: str) -> None:
    page.set_content(f"<h1>Claim HB000101</h1>{shown}<style>p {{ background: #fff; width: 200px }}</style>")
    # As Casehand keeps it, but not encrypted.
    name = Evidence(tmp_path, bytes, [NAME]).screenshot(page, "before")
    assert name is not None
    picture = b64encode((tmp_path / name).read_bytes()).decode()
    place = page.locator("#x").bounding_box()
    assert place is not None
    colours = page.evaluate(COLOURS, [picture, place])
    assert max(colours) < 16  # of 255: a JPEG is not exact


def test_a_picture_is_taken_and_the_page_is_left_as_it_was(
    page: Page, evidence: Evidence, tmp_path: Path
) -> None:
    page.set_content(f"<p>{NAME}</p><iframe srcdoc='<p>{NAME}</p>'></iframe>")
    page.frame_locator("iframe").get_by_text(NAME).wait_for()
    before = page.content()
    name = evidence.screenshot(page, "Before: put the new rent on!")
    assert name == "01-before-put-the-new-rent-on.jpg"
    assert page.content() == before
    kept = tmp_path / "case/1" / name
    assert read_evidence(kept, seal).startswith(b"\xff\xd8\xff")
    assert not kept.read_bytes().startswith(b"\xff\xd8\xff")


def test_a_picture_of_a_page_that_is_gone_is_none(page: Page, evidence: Evidence) -> None:
    page.close()
    assert evidence.screenshot(page, "failure") is None


def test_a_trace_is_kept_and_nothing_in_clear_stays_beside_it(
    page: Page, evidence: Evidence, tmp_path: Path
) -> None:
    evidence.start_trace(page.context)
    page.set_content(f"<p>{NAME}</p>")
    name = evidence.stop_trace(page.context, "trace desk")
    assert name == "01-trace-desk.zip"
    (kept,) = (tmp_path / "case/1").iterdir()
    with ZipFile(BytesIO(read_evidence(kept, seal))) as trace:
        assert trace.testzip() is None
        assert any(NAME.encode() in trace.read(entry) for entry in trace.namelist())
    assert NAME.encode() not in kept.read_bytes()


def test_the_folder_is_closed_to_others(page: Page, evidence: Evidence, tmp_path: Path) -> None:
    page.set_content("<p>Claim HB000101</p>")
    evidence.screenshot(page, "question")
    assert stat.S_IMODE((tmp_path / "case/1").stat().st_mode) == 0o700


def test_what_a_killed_horse_left_in_clear_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "case/1"
    folder.mkdir(parents=True)
    (folder / "trace-desk.draft").write_text(NAME)
    (folder / "01-failure.jpg").write_bytes(seal(b"kept"))
    remove_drafts(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["01-failure.jpg"]
