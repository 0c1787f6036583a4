"""Filling a form in one go: the page is left as if it had been typed into, and a field that cannot be is named."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

from casehand import Account, SystemException
from casehand.bots.browser import WarmBrowser
from casehand.bots.session import Session

FORM = """<form>
<label>Surname: <input name=surname></label>
<label for=f_12>Rent from *</label><input id=f_12 type=date>
<input name=rent maxlength=8 onchange="this.value = '£' + this.value">
<input aria-label=Telephone type=tel>
<textarea name=notes></textarea>
<label>Paid <select name=period><option value=W>Weekly<option value=M>Every month<option disabled>Daily</select></label>
<label><input type=checkbox name=live>Live</label>
<label><input type=checkbox name=old checked>Old</label>
<input type=radio name=payee value=T id=r1><label for=r1>Tenant</label>
<input type=radio name=payee value=L id=r2><label for=r2>Landlord</label>
<input name=gone style="display: none"><input name=token type=hidden value=7>
<input name=off disabled><fieldset disabled><input name=fenced></fieldset><input name=fixed readonly value=1>
<input name=twice><input name=twice><input name=letter type=file><input type=submit name=save>
<select name=several multiple><option>A<option>B</select>
<label>Ended <input type=checkbox name=ended onchange="this.form.reason.disabled = !this.checked"></label>
<input name=reason disabled>
</form>
<script>
const heard = [];
for (const kind of ['input', 'change', 'focusin', 'click'])
  document.addEventListener(kind, event => heard.push(`${kind} ${event.target.name || event.target.id}`));
</script>"""


@pytest.fixture
def bot(system: Any, account: Account, warm: WarmBrowser, bot_class: Any) -> Iterator[Any]:
    session = Session(bot_class, system.url, account, warm)
    bot = session.open()
    bot.page.set_content(FORM)
    yield bot
    session.forget()


@pytest.fixture
def form(bot: Any) -> Locator:
    page: Page = bot.page
    return page.locator("form")


def value(form: Locator, name: str) -> Any:
    return form.evaluate("(form, name) => form.elements[name].value", name)


def test_every_kind_of_field_is_filled_by_name_or_label(bot: Any, form: Locator) -> None:
    bot.fill(
        form,
        {
            "Surname": "Alder",
            "Rent from": "2026-04-06",
            "Telephone": "01632 960001",
            "notes": "Rang\non Monday",
            "Paid": "Every month",
            "live": True,
            "Old": False,
            "payee": "Landlord",
        },
    )
    assert value(form, "surname") == "Alder"
    assert value(form, "f_12") == "2026-04-06"
    assert form.get_by_label("Telephone").input_value() == "01632 960001"
    assert value(form, "notes") == "Rang\non Monday"
    assert value(form, "period") == "M"
    assert form.get_by_label("Live").is_checked()
    assert not form.get_by_label("Old").is_checked()
    assert value(form, "payee") == "L"


def test_a_choice_is_found_by_its_value_too(bot: Any, form: Locator) -> None:
    bot.fill(form, {"period": "M", "payee": "T"})
    assert (value(form, "period"), value(form, "payee")) == ("M", "T")


def test_the_page_hears_of_each_as_if_it_were_typed_in(bot: Any, form: Locator) -> None:
    bot.fill(form, {"surname": "Alder", "period": "M", "live": True, "old": True})
    heard = bot.page.evaluate("heard")
    assert [one for one in heard if one.endswith("surname")] == [
        "focusin surname",
        "input surname",
        "change surname",
    ]
    assert [one for one in heard if one.endswith("period")] == [
        "focusin period",
        "input period",
        "change period",
    ]
    assert [one for one in heard if one.endswith("live")] == [
        "focusin live",
        "click live",
        "input live",
        "change live",
    ]
    # It was ticked already: nobody would click it.
    assert [one for one in heard if one.endswith("old")] == ["focusin old"]


def test_what_the_page_makes_of_a_value_stands(bot: Any, form: Locator) -> None:
    bot.fill(form, {"rent": "139.88"})
    assert value(form, "rent") == "£139.88"


def test_a_page_that_watches_its_elements_own_property_hears_of_it(bot: Any, form: Locator) -> None:
    # As React does, which takes an event for none when its own copy has the value already.
    form.evaluate("""form => {
      const box = form.elements.surname;
      let copy = '';
      const whole = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value');
      Object.defineProperty(box, 'value', {
        configurable: true,
        get() { return whole.get.call(this) },
        set(value) { copy = value; whole.set.call(this, value) },
      });
      box.addEventListener('input', () => { if (box.value !== copy) window.told = box.value });
    }""")
    bot.fill(form, {"surname": "Alder"})
    assert bot.page.evaluate("window.told") == "Alder"


def test_a_field_that_an_earlier_one_opens_is_filled(bot: Any, form: Locator) -> None:
    bot.fill(form, {"ended": True, "reason": "Moved"})
    assert value(form, "reason") == "Moved"


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("nowhere", "secret", "is missing"),
        ("gone", "secret", "is hidden"),
        ("token", "secret", "is hidden"),
        ("off", "secret", "is disabled"),
        ("fenced", "secret", "is disabled"),
        ("fixed", "secret", "is read-only"),
        ("twice", "secret", "is there several times"),
        ("letter", "secret", "is none to be filled"),
        ("save", "secret", "is none to be filled"),
        ("Paid", "secret", "has no such choice"),
        ("Paid", "Daily", "has that choice disabled"),
        ("several", "A", "takes several choices at once"),
        ("payee", "secret", "has no such choice"),
        ("live", "secret", "takes yes or no"),
        ("surname", True, "takes a text"),
        ("rent", "secret that is long", "takes less than it was given"),
        ("Rent from", "secret", "does not take what it was given"),
    ],
)
def test_a_field_that_cannot_be_filled_is_named_and_its_value_is_not(
    bot: Any, form: Locator, name: str, given: str | bool, reason: str
) -> None:
    with pytest.raises(SystemException) as raised:
        bot.fill(form, {name: given})
    assert str(raised.value) == f"the field '{name}' {reason}"


def test_a_dialog_that_a_field_raises_is_told_at_once(bot: Any, form: Locator) -> None:
    form.evaluate("form => { form.elements.surname.onchange = () => alert('No such person') }")
    with pytest.raises(SystemException, match="alert"):
        bot.fill(form, {"surname": "Alder"})
