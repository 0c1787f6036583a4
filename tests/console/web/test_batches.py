"""Batches: listed, shown, handed in after a look, taken out again as files, paused and cancelled."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hands import until_it_listens
from openpyxl import load_workbook
from playwright.sync_api import FilePayload, Page, expect
from samples import PERMIT, RENT, hostile
from sqlalchemy import event

from casehand.console.rights import Role
from casehand.console.web import batches as pages
from casehand.console.web.handing_in import LARGEST_UPLOAD
from casehand.queue import audit, escalations
from casehand.queue.audit import EntryFilter
from casehand.queue.batches import find_batch
from casehand.queue.cases import find_case
from casehand.queue.guarded import is_formula
from casehand.queue.intake import hand_in

PageFor = Callable[..., Page]
ClientFor = Callable[..., Any]
FindsNothing = Callable[[Page], None]
RENTS = "rent-changes-2026-11-22"
HEADER = "claim,weekly_rent,from_date,claimant"
GOOD = [f"HB{900 + number:06},{90 + number}.00,2026-11-30,Mx Test Ash" for number in range(5)]
WRONG = [
    "HB12,1.00,2026-11-30,Mx Test Birch",
    "HB000115,1.00,2026-11-30,Mx Test Cedar",
    "HB000900,2.00,2026-11-30,Mx Test Elm",
    "HB000999,-4,soon,=cmd()",
]


def written(folder: Path, *rows: str, name: str = "weekly.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def send(page: Page, file: Any, workflow: str = RENT) -> None:
    """Send a file for a look."""
    page.goto("/batches/new")
    page.get_by_label("Workflow").select_option(workflow)
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Look the file over").click()


def entries(served: Any, subject: str) -> list[tuple[str, str, str | None]]:
    found = audit.find_entries(served.ledger, EntryFilter(subject=subject))
    return [(one.actor, one.action, one.detail) for one in found]


def test_the_list_shows_each_batch_and_how_far_it_is(page_for: PageFor) -> None:
    page = page_for("supervisor")
    page.get_by_role("link", name="Batches", exact=True).click()
    row = page.get_by_role("row").filter(has_text=RENTS)
    expect(row).to_contain_text("8 of 20 finished")
    expect(row).to_contain_text("Needs a person: 5")
    expect(row).to_contain_text("Not taken in: 2")
    page.get_by_label("Only batches that are not finished").check()
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("row")).to_have_count(3)
    assert "open=yes" in page.url


@pytest.mark.parametrize("column", ["Batch", "Workflow", "Handed in", "By", "File"])
def test_the_list_is_sorted_by_each_column_and_paged(
    page_for: PageFor, column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "AT_ONCE", 2)
    page = page_for("viewer", java_script_enabled=False)
    page.goto("/batches")
    for _ in range(2):
        page.get_by_role("columnheader", name=re.compile(rf"^{column}\b")).get_by_role("link").click()
        seen = page.locator("tbody th").all_inner_texts()
        page.get_by_role("link", name="Next page").click()
        seen += page.locator("tbody th").all_inner_texts()
        assert len(set(seen)) == 3
        expect(page.get_by_role("link", name="Next page")).to_have_count(0)
        page.get_by_role("link", name="Previous page").click()


def test_somebody_sees_the_batches_of_his_own_workflows(
    client_for: ClientFor, served: Any, somebody: Any
) -> None:
    client = client_for(somebody("viewer", PERMIT))
    assert RENTS not in client.get("/batches").text
    assert "permits-2026-11-24" in client.get("/batches").text
    for path in ("", "/not-taken-in", "/cancel", "/results.csv", "/rejects.csv"):
        assert client.get(f"/batches/{RENTS}{path}").status_code in (403, 404), path
    assert client.get(f"/batches/{RENTS}").status_code == 404


def test_a_supervisor_looks_a_file_over_before_it_is_taken_in(
    page_for: PageFor, served: Any, tmp_path: Path
) -> None:
    page = page_for("supervisor")
    send(page, written(tmp_path, *GOOD, *WRONG))

    expect(page.get_by_role("heading", level=1)).to_have_text("Check the file before it is taken in")
    refused = page.get_by_role("region", name="Rows that will not be taken in")
    assert refused.locator("tbody tr").all_inner_texts() == [
        "7\tNone\tclaim\tDoes not have the form that is expected such as HB000125",
        "8\tHB000115\tclaim\tDuplicate Already queued in batch rent-changes-2026-11-22",
        "9\tHB000900\tclaim\tDuplicate The same as on line 2",
        "10\tHB000999\tweekly_rent\tMust be more than 0; from_date: must be a real date such as "
        "2026-04-06 or 06/04/2026 (day first)",
    ]
    expect(page.get_by_role("region", name="The first rows that will be taken in")).to_contain_text(
        "Mx Test Ash"
    )
    assert "weekly" not in page.request.get(f"{served.url}/batches").text(), "it was taken in already"

    page.get_by_role("button", name="Take in 5 cases").click()

    expect(page.get_by_role("alert")).to_contain_text("The file was handed in.")
    expect(page.get_by_role("heading", level=1)).to_contain_text("weekly-2026-11-24")
    taken = find_batch(served.ledger, "weekly-2026-11-24")
    assert (taken.accepted, taken.rejected, taken.duplicates) == (5, 2, 2)
    assert taken.handed_in_by == "test.supervisor@example.test"
    assert taken.file == "weekly.csv"
    page.go_back()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("The file is not kept any more")


def test_it_is_done_by_keyboard_alone(page_for: PageFor, tab_to: Callable[..., None], tmp_path: Path) -> None:
    page = page_for("supervisor")
    tab_to(page, "link", "Batches")
    page.keyboard.press("Enter")
    page.wait_for_url("**/batches")
    tab_to(page, "button", "Hand in a file")
    page.keyboard.press("Enter")
    page.wait_for_url("**/batches/new")
    tab_to(page, "combobox", "Workflow")
    page.keyboard.type("hous")
    # What the system's own window for choosing a file does, no page can do.
    page.get_by_label("File").set_input_files(written(tmp_path, *GOOD))
    tab_to(page, "button", "Look the file over")
    page.keyboard.press("Enter")
    page.wait_for_url("**/batches/new/*")
    tab_to(page, "button", "Take in 5 cases")
    page.keyboard.press("Enter")
    page.wait_for_url("**/batches/weekly-2026-11-24?said=handed-in")
    tab_to(page, "button", "Pause this batch")
    page.keyboard.press("Enter")
    page.wait_for_url("**/pausing/new*")
    tab_to(page, "textbox", "Why")
    page.keyboard.type("the landlord rang")
    tab_to(page, "button", "Pause a batch")
    page.keyboard.press("Enter")
    page.wait_for_url("**/batches/weekly-2026-11-24?said=paused")
    tab_to(page, "button", "Resume this batch")
    page.keyboard.press("Enter")
    page.wait_for_url("**/batches/weekly-2026-11-24?said=resumed")


def test_it_is_done_without_scripts(page_for: PageFor, served: Any, tmp_path: Path) -> None:
    page = page_for("supervisor", java_script_enabled=False, viewport={"width": 375, "height": 740})
    send(page, written(tmp_path, *GOOD, *WRONG))
    page.get_by_role("button", name="Take in 5 cases").click()
    expect(page.get_by_text("0 of 5 cases finished.")).to_be_visible()
    page.get_by_role("button", name="Pause this batch").click()
    page.get_by_role("button", name="Pause a batch").click()
    expect(page.get_by_role("alert")).to_contain_text("Enter why it is paused")
    page.get_by_label("Why").fill("the landlord rang")
    page.get_by_role("button", name="Pause a batch").click()
    expect(page.get_by_text("This batch is paused: the landlord rang")).to_be_visible()
    page.get_by_role("button", name="Resume this batch").click()
    expect(page.get_by_text("This batch is paused")).to_have_count(0)
    page.get_by_role("button", name="Cancel this batch").click()
    page.get_by_label("Why").fill("the wrong file")
    page.get_by_role("button", name="Cancel 5 cases").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Cancel")
    with page.expect_download() as begun:
        page.goto("/batches/weekly-2026-11-24")
        page.get_by_role("link", name="Rejects as CSV").click()
    assert begun.value.suggested_filename == "weekly-2026-11-24-rejects.csv"


def test_a_batch_that_is_cancelled_says_how_many_and_leaves_what_is_in_work_or_in_doubt(
    page_for: PageFor, served: Any, until: Callable[..., None]
) -> None:
    page = page_for("supervisor")
    page.goto(f"/batches/{RENTS}/cancel")
    expect(page.get_by_text("11 cases will be cancelled:")).to_be_visible()
    expect(
        page.get_by_text("Left as they are: 1 case in work now, and 8 cases finished already.")
    ).to_be_visible()
    page.get_by_role("button", name="Cancel 11 cases").click()
    expect(page.get_by_role("alert")).to_contain_text("Enter why the batch is cancelled")
    page.get_by_label("Why").fill("the wrong file")
    page.get_by_role("button", name="Cancel 11 cases").click()
    page.wait_for_url("**/bulk/*")
    # The pages go on with it by themselves: there is no worker here.
    expect(page.get_by_text("12 of 12 cases gone through: 10 done, 2 refused.")).to_be_visible(timeout=20_000)
    expect(page.get_by_role("row").filter(has_text="HB000110")).to_contain_text("settle this case by itself")
    counts = find_batch(served.ledger, RENTS).counts
    assert (counts["cancelled"], counts["working"], counts["escalated"]) == (11, 1, 1)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "neither UTF-8 nor Windows-1252 text|bytes that are not text"),
        (b"PK\x03\x04" + bytes(200), "is an Excel workbook or a zip file"),
        (HEADER.encode() + b'\n"HB000900,1.00', "never closes"),
        (HEADER.encode() + b"\nHB000900,1.00,2026-11-30,Mx\xff\xfe\xc3\xa4 Test", "neither UTF-8"),
        (b"who,what\n1,2\n", "names no column of the workflow"),
    ],
    ids=["empty", "a picture", "a zip file", "cut off", "wrong encoding", "another table"],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(
    page_for: PageFor, content: bytes, says: str, finds_nothing: FindsNothing
) -> None:
    page = page_for("supervisor")
    send(page, FilePayload(name="weekly.csv", mimeType="text/csv", buffer=content))
    summary = page.get_by_role("alert").get_by_role("link")
    expect(summary).to_have_count(1)
    assert any(part in summary.inner_text() for part in says.split("|"))
    expect(page.get_by_label("Workflow")).to_have_value(RENT)
    finds_nothing(page)


def test_what_is_wrong_with_the_form_stands_beside_each_field(page_for: PageFor, tmp_path: Path) -> None:
    page = page_for("supervisor", java_script_enabled=False)
    page.goto("/batches/new")
    page.get_by_text("When it is to be worked").click()
    page.get_by_label("Priority").fill("very")
    page.get_by_role("button", name="Look the file over").click()
    assert page.get_by_role("alert").get_by_role("link").all_inner_texts() == [
        "Choose the workflow that works its cases",
        "Enter a whole number from -1,000 to 1,000, such as 5",
        "Choose a file",
    ]
    expect(page.get_by_label("Priority")).to_have_value("very")


def test_priority_and_times_go_with_the_file(page_for: PageFor, served: Any, tmp_path: Path) -> None:
    page = page_for("supervisor")
    page.goto("/batches/new")
    page.get_by_label("Workflow").select_option(RENT)
    page.get_by_label("File").set_input_files(written(tmp_path, *GOOD))
    page.get_by_text("When it is to be worked").click()
    page.get_by_label("Priority").fill("7")
    page.get_by_label("Not before").fill("2027-06-01T09:00")
    page.get_by_label("Due").fill("2027-06-04T17:00")
    page.get_by_role("button", name="Look the file over").click()
    expect(page.get_by_text("Tuesday 1 June 2027 at 9am")).to_be_visible()
    page.get_by_role("button", name="Take in 5 cases").click()
    page.wait_for_url("**/batches/weekly-*")
    line = find_case(served.ledger, "HB000900")
    assert line.priority == 7
    assert line.not_before.isoformat() == "2027-06-01T08:00:00+00:00"
    assert line.due is not None
    assert line.due.isoformat() == "2027-06-04T16:00:00+00:00"


def test_a_file_that_is_too_large_is_said_to_be_so_though_it_is_sent_whole(
    page_for: PageFor, tmp_path: Path, finds_nothing: FindsNothing
) -> None:
    path = tmp_path / "weekly.csv"
    with path.open("wb") as file:
        file.truncate(LARGEST_UPLOAD + 1_000_000)
    page = page_for("supervisor")
    page.set_default_timeout(60_000)
    send(page, path)
    expect(page.get_by_role("alert")).to_contain_text(
        "The file is larger than 50 MB: split it", timeout=60_000
    )
    finds_nothing(page)


def test_the_same_file_is_only_taken_in_again_when_somebody_says_so(
    page_for: PageFor, served: Any, tmp_path: Path, finds_nothing: FindsNothing
) -> None:
    page = page_for("supervisor")
    file = written(tmp_path, *GOOD)
    send(page, file)
    page.get_by_role("button", name="Take in 5 cases").click()
    client_cancel(page)
    send(page, file)
    expect(page.get_by_text("This same file was handed in Tuesday 24 November 2026")).to_be_visible()
    page.get_by_role("button", name="Take in 5 cases").click()
    expect(page.get_by_role("alert")).to_contain_text("Tick the box")
    finds_nothing(page)
    page.get_by_label("Take it in once more, though it was handed in before").check()
    page.get_by_role("button", name="Take in 5 cases").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("weekly-2026-11-24-2")


def client_cancel(page: Page) -> None:
    """Cancel the batch that is shown, and see it done."""
    page.get_by_role("button", name="Cancel this batch").click()
    page.get_by_label("Why").fill("the wrong file")
    page.get_by_role("button", name="Cancel 5 cases").click()
    expect(page.get_by_text("5 of 5 cases gone through: 5 done")).to_be_visible(timeout=20_000)


def test_a_file_is_kept_for_its_sender_alone_and_for_an_hour(
    client_for: ClientFor, served: Any, somebody: Any, page_for: PageFor, tmp_path: Path
) -> None:
    page = page_for("supervisor")
    send(page, written(tmp_path, *GOOD))
    path = page.url.removeprefix(served.url)
    other = client_for(somebody("supervisor", name="Kim Sample"))
    for method, address in (("GET", path), ("POST", path)):
        assert other.request(method, address).status_code == 404
    other.post(f"{path}/discard")
    page.reload()
    expect(page.get_by_role("button", name="Take in 5 cases")).to_be_visible()

    served.clock.pass_time(hours=1)

    later = client_for(somebody("supervisor"))
    assert later.get(path).status_code == 404
    assert later.post(path).status_code == 404
    assert "weekly" not in later.get("/batches").text


def test_somebody_whose_role_was_taken_away_does_not_take_in_what_he_sent(
    client_for: ClientFor, served: Any, somebody: Any, tmp_path: Path
) -> None:
    first = client_for(somebody("supervisor", name="Sam Sample"))
    sent = first.post(
        "/batches/new",
        data={"workflow": RENT},
        files={"file": ("weekly.csv", written(tmp_path, *GOOD).read_bytes())},
    )
    path = sent.headers["location"]
    for role in (Role.VIEWER, Role.CASEWORKER, Role.DEVELOPER):
        assert client_for(somebody(role, name="Sam Sample")).post(path).status_code == 403
    later = client_for(somebody("supervisor", PERMIT, name="Sam Sample"))
    assert later.post(path).status_code == 403


@pytest.mark.parametrize("role", [Role.VIEWER, Role.CASEWORKER, Role.DEVELOPER])
def test_others_look_and_may_do_nothing(
    client_for: ClientFor, served: Any, somebody: Any, page_for: PageFor, role: Role
) -> None:
    page = page_for(role)
    page.goto("/batches")
    expect(page.get_by_role("button", name="Hand in a file")).to_have_count(0)
    page.goto(f"/batches/{RENTS}")
    for name in ("Pause this batch", "Cancel this batch"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    expect(page.get_by_role("link", name="Results as CSV")).to_have_count(0)
    before = find_batch(served.ledger, RENTS)
    client = client_for(somebody(role))
    for path in ("/batches/new", f"/batches/{RENTS}/cancel", f"/batches/{RENTS}/results.csv"):
        assert client.get(path).status_code == 403, path
    for path, data in (
        ("/batches/new", {"workflow": RENT}),
        (f"/batches/{RENTS}/cancel", {"reason": "x"}),
        ("/pausing/new", {"kind": "batch", "name": RENTS, "reason": "x"}),
        ("/pausing/resume", {"kind": "bot", "name": "permits"}),
    ):
        assert client.post(path, data=data).status_code == 403, path
    assert find_batch(served.ledger, RENTS) == before


def test_another_website_can_neither_send_a_file_nor_fetch_one(
    client_for: ClientFor, served: Any, somebody: Any
) -> None:
    client = client_for(somebody("supervisor"))
    elsewhere = {"sec-fetch-site": "cross-site"}
    for path in ("/batches/new", f"/batches/{RENTS}/cancel", "/pausing/new", "/bulk/new"):
        assert client.post(path, headers=elsewhere).status_code == 403
    assert client.get(f"/batches/{RENTS}/results.csv", headers=elsewhere).status_code == 403


def test_results_are_given_out_whole_and_the_audit_says_so(
    client_for: ClientFor, served: Any, somebody: Any
) -> None:
    client = client_for(somebody("supervisor"))
    answer = client.get(f"/batches/{RENTS}/results.csv")
    assert answer.headers["content-disposition"] == f'attachment; filename="{RENTS}-results.csv"'
    assert answer.headers["cache-control"] == "no-store"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["Line"] for row in rows] == [str(number) for number in range(2, 24)]
    assert rows[0] | {"What became of it": "done", "Result: weekly_award": "112.40"} == rows[0]
    assert rows[20]["What became of it"] == "not taken in"

    book = load_workbook(io.BytesIO(client.get(f"/batches/{RENTS}/results.xlsx").content)).active
    assert [cell.value for cell in book["A"]][1:] == list(range(2, 24))
    assert client.get(f"/batches/{RENTS}/rejects.csv").status_code == 200
    me = "test.supervisor@example.test"
    assert entries(served, RENTS)[:3] == [
        (me, "took out rejects", "as csv"),
        (me, "took out results", "as xlsx"),
        (me, "took out results", "as csv"),
    ]
    told = client.get(f"/batches/{RENTS}/results.json")
    assert told.headers["content-disposition"] == f'attachment; filename="{RENTS}-results.json"'
    assert [one["line"] for one in told.json()] == list(range(2, 24))
    assert (told.json()[0]["came"], told.json()[0]["result"]) == ("done", {"weekly_award": "112.40"})
    assert [one["Casehand: line"] for one in client.get(f"/batches/{RENTS}/rejects.json").json()] == [22, 23]
    for kind in ("exe", "tsv", "csv.exe"):
        assert client.get(f"/batches/{RENTS}/results.{kind}").status_code == 404


def test_hostile_files_do_nothing_to_the_pages_and_come_out_harmless(
    client_for: ClientFor, page_for: PageFor, served: Any, somebody: Any, finds_nothing: FindsNothing
) -> None:
    nasty = [value for name, value in hostile().items() if name not in ("surrogate", "control")]
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(["permit", "vehicle", "zone", "notes"])
    writer.writerows([[f"P{number}", value, "A", value] for number, value in enumerate(nasty)])
    writer.writerows([[value, value, "A", value] for value in nasty])
    name = "=cmd|'x'!A1 <img src=x onerror=document.title='run'> \u202egnp.csv"
    page = page_for("supervisor")
    send(page, FilePayload(name=name, mimeType="text/csv", buffer=text.getvalue().encode()), PERMIT)
    finds_nothing(page)
    assert page.title() != "run"
    assert "49" not in page.locator("main").inner_text().split()
    page.get_by_role("button", name="Take in").click()
    page.wait_for_url("**/batches/cmd-*")
    batch = page.url.rpartition("/")[2].partition("?")[0]
    finds_nothing(page)
    page.set_viewport_size({"width": 375, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert page.title() != "run"

    client = client_for(somebody("supervisor"))
    for what in ("results", "rejects"):
        answer = client.get(f"/batches/{batch}/{what}.csv")
        rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
        assert len(rows) > 3
        assert not [cell for row in rows for cell in row if is_formula(cell)]


def test_a_batch_page_changes_by_itself(page_for: PageFor, served: Any) -> None:
    page = page_for("viewer")
    page.goto(f"/batches/{RENTS}")
    until_it_listens(page)
    page.evaluate("window.stayed = true")
    expect(page.get_by_text("8 of 20 cases finished.")).to_be_visible()
    escalations.close(served.ledger, served.made.fault, "s.sample@example.test", "mended")
    expect(page.get_by_text("9 of 20 cases finished.")).to_be_visible()
    assert page.evaluate("window.stayed")


def test_rows_that_were_not_taken_in_are_listed_page_by_page(
    page_for: PageFor, served: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "REJECTIONS_AT_ONCE", 30)
    path = written(tmp_path, *["HB1,1.00,2026-11-30,Mx Test Ash"] * 70)
    workflow = served.site.workflows[RENT]
    taken = hand_in(
        served.ledger,
        workflow=RENT,
        model=workflow.model,
        reference="claim",
        path=path,
        by="s.sample@example.test",
    )
    page = page_for("viewer")
    page.goto(f"/batches/{taken.batch}")
    page.get_by_role("link", name="All 70 rows that were not taken in").click()
    seen: list[str] = []
    while True:
        seen += page.locator("tbody th").all_inner_texts()
        if not page.get_by_role("link", name="Next page").count():
            break
        page.get_by_role("link", name="Next page").click()
        page.wait_for_load_state()
    assert seen == [str(line) for line in range(2, 72)]


def test_a_look_at_a_file_and_at_its_batch_ask_few_statements(
    client_for: ClientFor, served: Any, somebody: Any, tmp_path: Path
) -> None:
    client = client_for(somebody("supervisor"))
    files = {"file": ("weekly.csv", written(tmp_path, *GOOD, *WRONG * 30).read_bytes())}
    path = client.post("/batches/new", data={"workflow": RENT}, files=files).headers["location"]
    statements: list[str] = []
    event.listen(
        served.ledger.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: statements.append(statement),
    )
    for address in (path, "/batches", f"/batches/{RENTS}", f"/batches/{RENTS}/cancel", "/batches/new"):
        statements.clear()
        assert client.get(address).status_code == 200
        asked = [one for one in statements if one.lstrip().upper().startswith(("SELECT", "UPDATE", "INSERT"))]
        assert 0 < len(asked) <= 20, (address, asked)
