"""Inspection finds what is wrong with how a bot or workflow is written, with its line, and nothing else."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from casehand.bots.benefits import BenefitsBot
from casehand.workflows.inspection import Fault, inspect_bot, inspect_workflow, looks_personal
from casehand.workflows.rent_change import change_rent

WRITTEN = """
from typing import Annotated

from casehand import Bot, Case, CaseData, Personal, workflow


class DeskBot(Bot):
    name = "desk"

    def sign_in(self) -> None:
        self.page.get_by_role("button").first.click()  # HERE position
        self.page.locator("tr").nth(3).click()  # HERE position
        self.page.locator("tr:nth-child(2)").click()  # HERE position
        self.page.locator("//table/tr[2]").click()  # HERE position
        self.page.get_by_role("row").filter(has_text="x").last.click()  # HERE position
        # There is but one, by position or not.
        self.page.locator("tr").first.click()
        first = [1, 2]
        self.rows.first = first
        self.page.locator("tr[data-id]").click()
        rows = self.page.get_by_role("row")
        rows.nth(3).click()  # HERE position
        rows.first.click()  # HERE position
        rows.all()[2].click()  # HERE position
        self.page.locator("(//tr)[2]").click()  # HERE position
        self.page.locator(":nth-match(tr, 2)").click()  # HERE position
        self.page.get_by_text("nth-child").click() if False else None  # by position


class Row(CaseData):
    reference: str
    claimant: str  # HERE personal
    date_of_birth: str  # HERE personal
    address: Annotated[str, Personal]
    applicant: str  # HERE personal
    nationalInsuranceNo: str  # HERE personal
    landlord_name: str  # not personal: companies only
    file_name: str
    email_changed: bool
    rent: int


@workflow("desk/one", reference="reference")
def work(case: Case[Row], desk: DeskBot) -> None:
    with case.commit("one"):  # HERE done
        desk.check()
    with case.commit("two", done=lambda: True):
        desk.check()
    with case.commit("three", lambda: True):
        desk.check()
    # There is no done: the system shows nothing of it.
    with case.commit("four"):
        desk.check()
    with open("x") as file, case.commit("five"):  # HERE done
        file.read()
    with case.commit("six", done=None):  # HERE done
        desk.check()
    with case.commit(name="seven"):  # HERE done
        desk.check()
    point = case.commit("eight")  # HERE done
    with point:
        desk.check()
    file.commit()
"""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    file = tmp_path / "inspected.py"
    file.write_text(WRITTEN)
    spec = importlib.util.spec_from_file_location("inspected", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "inspected", module)
    spec.loader.exec_module(module)
    return module


def marked(what: str) -> list[int]:
    return [number for number, line in enumerate(WRITTEN.splitlines(), 1) if line.endswith(f"# HERE {what}")]


def test_what_is_wrong_is_found_with_its_line_and_nothing_else(written: ModuleType) -> None:
    found = [*inspect_workflow(written.work), *inspect_bot(written.DeskBot)]

    def lines(fault: Fault) -> list[int]:
        return sorted({one.line for one in found if one.fault is fault})

    assert lines(Fault.NO_DONE) == marked("done")
    assert lines(Fault.NOT_PERSONAL) == marked("personal")
    assert lines(Fault.POSITION) == marked("position")
    assert lines(Fault.NOT_SIGNED_IN) == [WRITTEN.splitlines().index("class DeskBot(Bot):") + 1]
    assert all(one.file.endswith("inspected.py") for one in found)


def test_the_samples_are_written_as_they_should_be() -> None:
    assert inspect_workflow(change_rent) == []
    assert inspect_bot(BenefitsBot) == []


@pytest.mark.parametrize(
    ("name", "looks"),
    [
        *(
            (name, True)
            for name in ("surname", "claimant_name", "national_insurance_number", "homePhone", "nino")
        ),
        *(
            (name, True)
            for name in ("date_of_birth", "bank_account_number", "sort_code", "postcode", "email")
        ),
        *((name, False) for name in ("file_name", "weekly_rent", "from_date", "claim", "address_type")),
        *(
            (name, False)
            for name in ("number_of_children", "tenant_reference", "surnames_changed", "untitled")
        ),
    ],
)
def test_a_name_looks_personal_when_it_says_who(name: str, looks: bool) -> None:
    assert looks_personal(name) is looks
