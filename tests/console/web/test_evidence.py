"""Pictures and traces: decrypted for those who may see them, and a real trace in Playwright's own viewer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from casehand.bots.evidence import Evidence
from casehand.console.web.evidence import VIEWER, viewer_policy
from casehand.settings import load_settings

PageFor = Callable[..., Page]
FindsNothing = Callable[[Page], None]

LEGACY = """<!doctype html><title>Practice Benefits</title><style>h1 { color: rgb(10, 20, 30) }</style>
<h1>Claim HB000112</h1><button onclick="this.textContent = 'Saved at last'">Save</button>
<img src="http://127.0.0.1:9/elsewhere.png" alt=""><script>window.ran = true</script>"""


@pytest.fixture
def traced(served: Any, browser: Browser) -> str:
    """A case of whose attempt there is a real trace, kept as an attempt keeps it."""
    case = served.made.retried
    folder = load_settings().evidence / case / "1"
    evidence = Evidence(folder, served.ledger.key_of(case).seal, [])
    context = browser.new_context()
    evidence.start_trace(context)
    page = context.new_page()
    page.route(
        "**/*",
        lambda route: (
            route.fulfill(body=LEGACY, content_type="text/html")
            if route.request.is_navigation_request()
            else route.abort()
        ),
    )
    page.goto("http://practice.example.test/claim")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved at last").wait_for()
    name = evidence.stop_trace(context, "trace benefits")
    context.close()
    assert name is not None
    return name


def picture(served: Any) -> str:
    """Where a picture of the sample is."""
    return f"/evidence/{served.made.question}/1/01-question.jpg"


def test_a_trace_opens_in_the_viewer_and_shows_what_the_page_showed(
    page_for: PageFor, served: Any, traced: str
) -> None:
    page = page_for("caseworker")
    page.goto("/cases/HB000112")
    link = page.get_by_role("link", name="Open the recording of attempt 1")
    expect(link).to_have_attribute("target", "_blank")
    viewer = page.context.new_page()
    faults: list[str] = []
    asked: list[str] = []
    viewer.on("pageerror", lambda error: faults.append(str(error)))
    viewer.on("console", lambda said: faults.append(said.text) if "Security Policy" in said.text else None)
    viewer.context.on("request", lambda request: asked.append(request.url))
    viewer.goto(f"{served.url}{link.get_attribute('href')}")
    action = viewer.get_by_text("Click").first
    action.click(timeout=30_000)
    viewer.get_by_role("tab", name="After").click()
    shown = viewer.frame_locator("iframe.snapshot-visible").frame_locator("iframe")
    nested = (
        shown
        if viewer.frame_locator("iframe.snapshot-visible").locator("iframe").count()
        else viewer.frame_locator("iframe.snapshot-visible")
    )
    expect(nested.get_by_text("Saved at last")).to_be_visible(timeout=30_000)
    expect(nested.get_by_role("heading")).to_have_css("color", "rgb(10, 20, 30)")
    assert all(url.startswith((served.url, "blob:", "data:")) or "elsewhere.png" in url for url in asked), (
        asked
    )
    for tab in viewer.get_by_role("tab").all():
        tab.click()
    assert not faults


def test_the_viewer_reads_traces_from_nowhere_else(page_for: PageFor, served: Any, traced: str) -> None:
    page = page_for("caseworker")
    reached: list[str] = []
    page.context.on("requestfinished", lambda request: reached.append(request.url))
    # Refusals are what is looked for here, so this page is not watched for them.
    viewer = page.context.new_page()
    viewer.goto(f"{served.url}/trace-viewer/index.html?trace=http://localhost:9/trace.zip")
    expect(viewer.get_by_text("Could not load trace").first).to_be_visible(timeout=30_000)
    assert all(url.startswith(served.url) for url in reached if not url.startswith(("blob:", "data:")))


def test_the_policy_of_the_viewer_names_its_own_inline_script_and_no_other(
    page_for: PageFor, served: Any
) -> None:
    policy = viewer_policy()
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "unsafe" not in scripts
    assert scripts.count("'sha256-") == (VIEWER / "index.html").read_text().count("<script>")
    page = page_for("viewer")
    answer = page.request.get("/trace-viewer/index.html")
    assert answer.headers["content-security-policy"] == policy
    assert page.request.get("/trace-viewer/uiMode.html").status == 404
    assert page.request.get("/trace-viewer/..%2f..%2fpackage.json").status == 404
    assert "trace-viewer" not in page.request.get("/").headers["content-security-policy"]


def test_evidence_is_never_cached_and_is_nothing_but_what_it_is(
    page_for: PageFor, served: Any, traced: str
) -> None:
    page = page_for("viewer")
    for path, kind in (
        (picture(served), "image/jpeg"),
        (f"/evidence/{served.made.retried}/1/{traced}", "application/zip"),
    ):
        answer = page.request.get(path)
        assert answer.ok
        assert answer.headers["content-type"] == kind
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert page.request.get(picture(served)).body().startswith(b"\xff\xd8")


def test_evidence_is_not_for_developers_nor_for_anybody_unknown(
    page_for: PageFor, opened: Callable[..., Page], served: Any, traced: str
) -> None:
    paths = [picture(served), f"{picture(served)}/large", f"/evidence/{served.made.retried}/1/{traced}"]
    developer = page_for("developer")
    both = page_for("developer", workflows=("housing-benefit/rent-change",))
    nobody = opened()
    for path in paths:
        assert developer.request.get(path).status == 403
        assert both.request.get(path).status == 403
        answer = nobody.request.get(path)
        assert "/sign-in" in answer.url
        assert b"JFIF" not in answer.body()


@pytest.mark.parametrize(
    "file",
    [
        "02-nothing.jpg",
        "..%2F..%2Fledger.db",
        "01-question.JPG",
        "01-question.txt",
        "%00.jpg",
        ".jpg",
        "01-question.draft",
    ],
)
def test_only_evidence_of_the_case_is_read(page_for: PageFor, served: Any, file: str) -> None:
    page = page_for("supervisor")
    for attempt in ("1", "99", "999999999999999999999"):
        assert page.request.get(f"/evidence/{served.made.question}/{attempt}/{file}").status == 404
    assert page.request.get(f"/evidence/{served.made.queued}/1/01-question.jpg").status == 404
    assert page.request.get("/evidence/HB000107/1/01-question.jpg").status == 404


def test_a_picture_that_was_altered_or_taken_from_another_case_is_none(
    page_for: PageFor, served: Any
) -> None:
    root = load_settings().evidence
    source = root / served.made.question / "1" / "01-question.jpg"
    target = root / served.made.business / "1" / "01-question.jpg"
    target.write_bytes(source.read_bytes())
    page = page_for("supervisor")
    assert page.request.get(f"/evidence/{served.made.business}/1/01-question.jpg").status == 404


def test_a_picture_opens_large_on_a_page_of_its_own(
    page_for: PageFor, served: Any, finds_nothing: FindsNothing
) -> None:
    page = page_for("viewer", java_script_enabled=True)
    page.goto(f"/cases/{served.made.question}")
    small = page.get_by_role(
        "img", name="What the system showed when the question was asked (attempt 1, opens larger)"
    )
    expect(small).to_be_visible()
    small.scroll_into_view_if_needed()
    expect(small).to_have_js_property("naturalWidth", 900)
    small.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        "What the system showed when the question was asked"
    )
    large = page.get_by_role("img", name="What the system showed when the question was asked")
    expect(large).to_have_js_property("naturalWidth", 900)
    finds_nothing(page)
    page.get_by_role("link", name="HB000107").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("HB000107")


def test_a_picture_that_is_on_another_machine_is_said_to_be(page_for: PageFor, served: Any) -> None:
    (load_settings().evidence / served.made.question / "1" / "01-question.jpg").unlink()
    page = page_for("viewer")
    page.goto(f"/cases/{served.made.question}")
    expect(page.get_by_text("its picture is not on this machine")).to_be_visible()
    assert page.locator("main img").count() == 0


def test_pictures_of_an_attempt_whose_horse_was_killed_are_shown(page_for: PageFor, served: Any) -> None:
    folder: Path = load_settings().evidence / served.made.working / "1"
    folder.mkdir(parents=True, exist_ok=True)
    source = load_settings().evidence / served.made.done / "1"
    plain = served.ledger.key_of(served.made.done).open(next(source.iterdir()).read_bytes())
    (folder / "01-before.jpg").write_bytes(served.ledger.key_of(served.made.working).seal(plain))
    page = page_for("viewer")
    page.goto(f"/cases/{served.made.working}")
    expect(page.get_by_role("region", name="What happened")).to_contain_text(
        "It also left pictures that belong to no step"
    )
    expect(page.get_by_role("img", name="Picture 1 that belongs to no step")).to_be_visible()
