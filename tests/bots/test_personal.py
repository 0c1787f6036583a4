"""What is personal is found however it is written, and an ordinary page's text is left alone."""

import pytest

from casehand.bots.personal import fielded, labelled, patterned
from casehand.bots.replacements import Replacements


@pytest.mark.parametrize(
    "text",
    [
        "seen by Mr Q Sampler today",
        "Claimant\tMr Q Sampler",
        "Mr Q. Sampler",
        "Mr Q.A. Sampler",
        "Mr.Sampler",
        "MR QUENTIN SAMPLER OF FLAT 3",
        "mrs Sampler",
        "Mrs Şahin Sampler",
        "Mrs Żółć Sampler",
        "Mr Vincent van Sampler",
        "Mr Mac Sampler",
        "Mr\u00a0Quentin\u00a0Sampler",
        "Name: Sampler, Quentin",
        "Name: SAMPLER, Mr Quentin",
        "Name: Q Sampler",
        "Details; Name: Q. Sampler, of Exampleton",
        "Claimant's name: Vincent van Sampler",
        "Name of landlord\tSampler",
        "Landlord\tQuentin Sampler",
        "Customer name\tsampler",
        "Customer\tQuentin Sampler",
        "Liable\tTesta Specimen and Q Sampler",
        "Liable person: Q Sampler",
        '{"surname": "Sampler"}',
        "Mr Quentin Sampler Status Live",
    ],
)
def test_a_name_is_found_however_it_is_written(text: str) -> None:
    replacements = Replacements()
    replacements.collect(text)
    replaced = replacements.apply(f"{text}. Sampler, SAMPLER, Sampler's")
    assert "sampler" not in replaced.casefold()
    assert not replacements.leftovers(replaced)
    for ordinary in (
        "seen by",
        "today",
        "OF FLAT 3",
        "Name",
        "Landlord",
        "Customer",
        "Liable",
        "Status Live",
    ):
        assert (ordinary in text) == (ordinary in replaced)


def test_a_name_with_hyphens_and_marks_is_one_word() -> None:
    assert list(patterned("Ms Anne-Testa d\u2019Sampler-O'Specimen called")) == [
        ("name", "Ms Anne-Testa d\u2019Sampler-O'Specimen")
    ]


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("Address\tRose Cottage, Mill Road", "address", "Rose Cottage, Mill Road"),
        ("Property address: The Old Mill, Exampleton on the Hill", "address", None),
        ("Address\t12 rose lane", "address", "12 rose lane"),
        ("it is sw1a 1aa now", "postcode", "sw1a 1aa"),
        ("Postcode: sw1a1aa", "postcode", "sw1a1aa"),
    ],
)
def test_an_address_is_found(text: str, kind: str, found: str | None) -> None:
    assert (kind, found or text.partition(": ")[2]) in [*labelled(text), *patterned(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Claimant\tStatus",
        "Claimant\tClaim type\tLandlord\tWeekly rent",
        "Surname\tForenames\tAddress\tPostcode\tStart date",
        "Surname\t<\tFind",
        "Name: enter the name of the claimant",
        "Address\tEnter the new address and press Save",
        "Partner\tNo partner on this claim",
        "Landlord: to be paid, not known",
        "Mr Mrs Miss Ms Dr",
        "Loaded in 20 ms On this page",
        "12.30 DR Rent",
        "MS Word",
        "Account\t19",
        "main.a3f2bd.js",
        "one a1 2b",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert [*labelled(text), *patterned(text)] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "f_07"),
        ("tenant", "yes"),
        ("landlord", "7"),
        ("surname", ""),
        ("surname", "Surname"),
        ("address", "http://system.test/a b"),
        ("addressType", "Flat 3"),
        ("account", "19"),
        ("status", "Live"),
    ],
)
def test_a_field_that_holds_no_person_is_left_alone(name: str, value: str) -> None:
    assert list(fielded(name, value)) == []


def test_what_is_personal_and_was_never_noted_is_left_over() -> None:
    nothing = Replacements()
    for text in ("Name: Sampler, Quentin", "Surname\tsampler", "Mr Q Sampler", "%4Dr%20Q%20Sampler"):
        assert [kind for kind, _ in nothing.leftovers(text)] == ["name"], text


def test_a_word_of_the_page_that_is_somebodys_name_stays_where_it_is_the_pages() -> None:
    replacements = Replacements()
    replacements.collect("Mrs Testa Label, Mr Title")
    replaced = replacements.apply('<label title="For Label">Title, label</label>')
    assert replaced.startswith("<label title=")
    assert replaced.endswith("</label>")
    assert "Label" not in replaced
    assert ", label" not in replaced
    assert not replacements.leftovers(replaced)
