"""A session kept as a HAR file: what is personal is replaced wherever it stands, and what is secret is gone."""

import base64
import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casehand.bots.har import Cleaned, as_text, clean
from casehand.bots.personal import ENCODINGS, Replacements
from casehand.exceptions import CasehandError

PAGE = """<h1>Claim HB000119</h1><table>
<tr><td>Claimant</td><td>Ms Testa O&#39;Sample</td><td>NINO</td><td>AB 12 34 56 C</td></tr>
<tr><td>Address</td><td>12 Acacia Road, Exampleton</td><td>Postcode</td><td>SW1A 1AA</td></tr>
<tr><td>Telephone</td><td>020 7946 0018</td><td>E-mail</td><td>testa@sample.example</td></tr>
<tr><td>Sort code</td><td>20-99-31</td><td>Account</td><td>31926819</td></tr></table>
<p>Mr Untitled of £1,234.56 from 06/04/2026</p>
<form><input name="k_9" type="password"><input name="surname" value="Sample"></form>"""

PERSONAL = (
    "HB000119",
    "Testa O'Sample",
    "AB 12 34 56 C",
    "AB123456C",
    "12 Acacia Road",
    "SW1A 1AA",
    "020 7946 0018",
    "testa@sample.example",
    "20-99-31",
    "31926819",
)


def entry(url: str = "http://system.test/", answer: str = PAGE, **given: Any) -> dict[str, Any]:
    """One request and its answer, as a browser keeps them."""
    headers = [{"name": "Cookie", "value": "sid=topsecret"}, {"name": "Authorization", "value": "Basic eDp5"}]
    request = {
        "method": "GET",
        "url": url,
        "headers": headers,
        "cookies": [{"name": "sid", "value": "topsecret"}],
    }
    if "posted" in given:
        kind = "application/x-www-form-urlencoded"
        request |= {"method": "POST", "postData": {"mimeType": kind, "text": given["posted"]}}
    return {
        "request": request,
        "response": {
            "status": 200,
            "headers": [
                {"name": "Set-Cookie", "value": "sid=topsecret"},
                {"name": "Location", "value": given.get("location", "")},
                {"name": "Content-Type", "value": given.get("kind", "text/html")},
            ],
            "redirectURL": given.get("location", ""),
            "content": {"mimeType": given.get("kind", "text/html"), "text": answer}
            | ({"encoding": "base64"} if "encoded" in given else {}),
        },
    }


def cleaned(*entries: dict[str, Any], **given: Any) -> Cleaned:
    return clean({"log": {"entries": list(entries)}}, **given)


def test_each_kind_of_personal_data_is_replaced() -> None:
    written = as_text(cleaned(entry()).har)
    for text in PERSONAL:
        assert text not in written
    assert "£1,234.56 from 06/04/2026" in written


def test_the_same_is_replaced_by_the_same_in_addresses_forms_and_encodings() -> None:
    session = cleaned(
        entry(),
        entry(
            "http://system.test/find?ref=HB000119&who=Ms+Testa+O%27Sample&at=12%20Acacia%20Road%2C%20Exampleton"
        ),
        entry(posted="f_07=HB000119&n=AB123456C", location="/claim?ref=HB000119"),
        entry(kind="application/json", answer=json.dumps({"surname": "O'Sample", "nino": "ab123456c"})),
        entry("http://system.test/x?k=" + base64.b64encode(b"HB000119").decode()),
    )
    written = as_text(session.har)
    for text in PERSONAL:
        assert text not in written
        assert quote_plus(text) not in written
    invention = session.replacements.by["HB000119"][1]
    assert written.count(invention) >= 4
    assert base64.b64encode(invention.encode()).decode() in written
    assert (
        session.replacements.by["AB 12 34 56 C"][1].replace(" ", "")
        == session.replacements.by["AB123456C"][1]
    )


def test_a_reference_keeps_its_form() -> None:
    assert cleaned(entry()).replacements.by["HB000119"][1] == "HB900001"


def test_cookies_authorisations_and_passwords_are_gone() -> None:
    session = cleaned(
        entry(),
        entry(
            "http://system.test/in?pwd=hunter2hunter", posted="user=robot&k_9=another+secret&password=third"
        ),
        entry(answer="<p>your password is fourth secret</p>"),
        secrets=("fourth secret",),
    )
    written = as_text(session.har)
    for secret in ("topsecret", "eDp5", "hunter2", "another", "third", "fourth"):
        assert secret not in written
    assert "user=robot&k_9=removed&password=removed" in written


def test_what_cannot_be_searched_is_left_out_and_said() -> None:
    session = cleaned(
        entry(kind="application/pdf", answer=base64.b64encode(b"%PDF HB000119").decode(), encoded=True)
    )
    assert session.left_out == ("application/pdf",)
    assert "text" not in session.har["log"]["entries"][0]["response"]["content"]


def test_a_page_in_an_old_encoding_is_read() -> None:
    old = base64.b64encode("<td>Claimant</td><td>Ms Zoë Sample</td>".encode("windows-1252")).decode()
    assert "Zoë" not in as_text(cleaned(entry(answer=f"{old}", kind="text/html", encoded=True)).har)


def test_scripts_and_styles_stay_as_they_are() -> None:
    script = "setTimeout(go, 86400000)"
    assert script in as_text(cleaned(entry(), entry(answer=script, kind="text/javascript")).har)


def test_what_would_be_left_stops_the_file_and_is_not_named() -> None:
    hidden = base64.b64encode(b"for HB000119 only").decode()
    with pytest.raises(
        CasehandError, match=r"nothing was written: the reference in entry 2 \(GET /x\) would be left"
    ):
        cleaned(entry(), entry(f"http://system.test/x?k={hidden}"))


def test_a_name_without_a_title_is_replaced_when_it_is_given() -> None:
    session = cleaned(entry(answer="<p>Seen by Quentin Sampler</p>"), also={"Quentin Sampler": "text"})
    assert "Quentin" not in as_text(session.har)


@given(
    st.from_regex(r"[A-Z]{2}[0-9]{6}", fullmatch=True),
    st.integers(0, len(ENCODINGS) - 1),
    st.text(max_size=20),
)
def test_no_encoding_hides_what_was_noted(reference: str, encoding: int, around: str) -> None:
    replacements = Replacements()
    replacements.collect(f"Claim {reference}")
    text = f"{around} {ENCODINGS[encoding](reference)} {around}"
    replaced = replacements.apply(text)
    if reference in replacements.by:
        assert ENCODINGS[encoding](reference) not in replaced.replace(around, "")


def test_names_are_found_below_the_head_of_their_column_and_the_head_stays() -> None:
    grid = """<table><tr><th>Claimant</th><th>Surname</th><th>Address</th><th>Status</th></tr>
    <tr><td>Quentin Sampler</td><td>Specimen</td><td>Nowhere</td><td>Live</td></tr></table>"""
    written = as_text(cleaned(entry(answer=grid)).har)
    for name in ("Quentin", "Sampler", "Specimen"):
        assert name not in written
    for head in ("Claimant", "Surname", "Address", "Status", "Live"):
        assert f">{head}<" in written


def test_what_was_replaced_is_not_replaced_again() -> None:
    once = cleaned(entry())
    again = clean(once.har)
    assert {kind for kind, _ in again.replacements.by.values()} <= {
        kind for kind, _ in once.replacements.by.values()
    }
    assert not again.replacements.leftovers(as_text(again.har))
