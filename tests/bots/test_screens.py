"""What was recorded, turned into screens: each as Playwright's recorder writes it, and what comes of it."""

from casehand.bots.screens import Arrived, Asked, Did, Event, write_screens

FRAME = 'page.locator("iframe[name=\\"work\\"]").content_frame'


def methods(*events: Event, **known: str) -> str:
    """The class of the screens."""
    written = write_screens(events, "ClaimsBot", "exampleton.claims", known)
    compile(written, "screens.py", "exec")
    return written.partition("class RecordedClaimsBot(ClaimsBot):\n")[2]


def test_a_page_is_a_method_named_for_its_address() -> None:
    assert (
        methods(
            Arrived(0, "http://system.test/claim/12/rent.aspx?x=1"),
            Did('page.get_by_role("button", name="Save").click()'),
        )
        == '''\
    def on_claim_rent(self) -> None:
        """At /claim/…/rent.aspx, as it was recorded."""
        self.page.get_by_role("button", name="Save").click()
'''
    )


def test_what_was_typed_is_an_argument_of_its_type_named_for_its_label() -> None:
    written = methods(
        Did('page.get_by_label("Weekly rent (£)").fill("101.50")'),
        Did('page.get_by_label("From").fill("06/04/2026")'),
        Did('page.get_by_role("textbox", name="Until").fill("2026-05-01")'),
        Did('page.get_by_placeholder("Class").fill("hello")'),
        Did('page.get_by_label("Landlord").select_option("7")'),
    )
    assert "(self, weekly_rent: Decimal, from_: date, until: date, class_: str, landlord: str)" in written
    assert '.fill(f"{weekly_rent:.2f}")' in written
    assert '.fill(f"{from_:%d/%m/%Y}")' in written
    assert ".fill(until.isoformat())" in written
    assert ".select_option(landlord)" in written


def test_a_day_that_there_is_not_is_a_text() -> None:
    assert "(self, when: str)" in methods(Did('page.get_by_label("When").fill("31/02/2026")'))


def test_two_boxes_of_one_name_are_two_arguments() -> None:
    written = methods(
        Did('page.get_by_label("Name").first.fill("one")'),
        Did('page.get_by_label("Name").nth(1).fill("two")'),
    )
    assert "(self, name: str, name_2: str)" in written
    assert written.count("# Several look the same: found by its place among them") == 2


def test_what_was_typed_before_is_the_argument_where_a_later_page_shows_it() -> None:
    written = methods(
        Arrived(0, "http://system.test/search"),
        Did('page.get_by_label("Claim").fill("HB000119")'),
        Arrived(0, "http://system.test/results"),
        Did('page.get_by_role("link", name="HB000119").click()'),
    )
    assert "def on_results(self, claim: str) -> None:" in written
    assert 'get_by_role("link", name=claim)' in written
    assert "HB000119" not in written


def test_what_only_this_record_shows_is_remarked_on() -> None:
    written = methods(Did('page.get_by_role("link", name="Account 900").click()'))
    assert "# Holds what this record showed: make it an argument" in written


def test_a_password_is_the_accounts_and_never_written() -> None:
    written = methods(
        Did('page.locator("input[type=\\"password\\"]").fill("a secret")'),
        Did('page.get_by_label("User").fill("robot.one")'),
        **{"robot.one": "self.account.username"},
    )
    assert ".fill(self.account.password.get_secret_value())" in written
    assert ".fill(self.account.username)" in written
    assert 'secret"' not in written


def test_a_frame_is_named_once_and_is_no_reason_for_a_remark() -> None:
    written = methods(
        Did(f'{FRAME}.get_by_label("Claim").fill("x")'),
        Did(f'{FRAME}.get_by_role("button", name="Find").click()'),
    )
    assert written.count("iframe") == 1
    assert "frame = self.page.locator('iframe[name=\"work\"]').content_frame" in written
    assert "#" not in written


def test_a_dialog_is_confirmed_over_what_raised_it() -> None:
    written = methods(
        Did('page.once("dialog", lambda dialog: dialog.dismiss())\npage.get_by_text("Save").click()'),
        Asked("Save claim 12?"),
    )
    assert (
        '        with self.confirming("Save claim"):\n            self.page.get_by_text("Save").click()'
        in written
    )


def test_a_window_that_opens_is_given_on() -> None:
    written = methods(
        Did(
            'with page.expect_popup() as page1_info:\n    page.get_by_text("Notes").click()\npage1 = page1_info.value'
        ),
        Arrived(1, "http://system.test/notes"),
        Did('page1.get_by_label("Note").fill("x")'),
    )
    assert "def on_start(self) -> Page:" in written
    assert "return opening.value" in written
    assert "def on_notes(self, window: Page, note: str) -> None:" in written
    assert 'window.get_by_label("Note").fill(note)' in written


def test_clicks_and_tabs_that_only_lead_into_a_box_are_left_out() -> None:
    written = methods(
        Did('page.get_by_label("Note").click()'),
        Did('page.get_by_label("Note").fill("x")'),
        Did('page.get_by_label("Note").press("Tab")'),
        Did('page.get_by_label("Note").press("Enter")'),
    )
    assert "click" not in written
    assert "Tab" not in written
    assert '.press("Enter")' in written


def test_the_same_page_done_twice_in_the_same_way_is_written_once() -> None:
    page = [Arrived(0, "http://system.test/a"), Did('page.get_by_text("Next").click()')]
    written = methods(
        *page, *page, Arrived(0, "http://system.test/a"), Did('page.get_by_text("End").click()')
    )
    assert written.count("def on_a(") == 1
    assert written.count("def on_a_2(") == 1


def test_nothing_done_is_an_empty_class() -> None:
    assert methods(Arrived(0, "http://system.test/")) == '    """Nothing was done."""\n'


def test_a_name_that_only_this_record_shows_is_remarked_on_and_in_no_method() -> None:
    written = methods(
        Arrived(0, "http://system.test/person/quentin-specimen"),
        Did('page.get_by_role("link", name="Quentin Specimen").click()'),
        Did('page.get_by_role("button", name="End").click()'),
        Asked("End the award of Quentin Specimen?"),
    )
    assert written.count("# Holds what this record showed: make it an argument") == 1
    assert "def on_person(self)" in written
    assert '"""At /person/…, as it was recorded."""' in written
    assert 'self.confirming("End the award of")' in written
