"""A session kept as a HAR file: what is personal is replaced wherever it stands, and what is secret is gone."""

import base64
import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casehand.bots.encodings import ENCODINGS
from casehand.bots.har import Cleaned, as_text, clean
from casehand.bots.replacements import Replacements
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
    (kept,) = again.har["log"]["entries"]
    assert not again.replacements.leftovers(kept["response"]["content"]["text"])


def body(session: Cleaned, number: int = -1) -> str:
    """What an entry of the file answers."""
    text: str = session.har["log"]["entries"][number]["response"]["content"]["text"]
    return text


@pytest.mark.parametrize(
    "code",
    [
        "setTimeout(go, 86400000)",
        'if (x) { show("Miss", Mr, 12345678, "SW1A1AA"); } /* 020 7946 0018 */',
        "td.black { color: black; width: 9999999px }",
    ],
)
def test_scripts_and_styles_without_personal_data_stay_as_they_are(code: str) -> None:
    session = cleaned(entry(answer="<p>Mrs Testa Black</p>"), entry(answer=code, kind="text/javascript"))
    assert body(session) == code


def test_personal_data_in_scripts_is_replaced_by_what_it_is_replaced_by_elsewhere() -> None:
    script = """cb({"surname":"Sampler","nino":"AB123456C",'forename':'Quentin'}); // Mr Q Sampler, q@sample.example"""
    session = cleaned(entry(answer="<p>Mr Sampler</p>"), entry(answer=script, kind="text/javascript"))
    for text in ("Sampler", "AB123456C", "Quentin", "q@sample.example"):
        assert text not in as_text(session.har)
    assert f'"surname":"{session.replacements.by["Sampler"][1]}"' in body(session)


def test_what_is_left_in_a_script_stops_the_file() -> None:
    hidden = base64.b64encode(b"for Mr Quentin Sampler only").decode()
    with pytest.raises(CasehandError, match=r"the name in entry 1 \(GET /\) would be left"):
        cleaned(entry(answer=f"go('{hidden}')", kind="application/javascript"))


JSON = "application/json; charset=utf-8"
MULTIPART = "multipart/form-data; boundary=b"


def posted(kind: str, text: str, answer: str = "<p>Saved</p>") -> dict[str, Any]:
    """Something that was sent as this kind of content."""
    sent = entry(answer=answer, posted=text)
    sent["request"]["postData"]["mimeType"] = kind
    return sent


def multipart(**fields: str) -> str:
    return (
        "".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        + "--b--\r\n"
    )


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("application/x-www-form-urlencoded", "surname=Sampler&forename=Quentin"),
        ("application/x-www-form-urlencoded", "ctl00%24txtSurname=sampler&First_Name=quentin"),
        (JSON, '{"surname":"Sampler","people":[{"firstName":"Quentin"}]}'),
        (JSON, '[{"name":"surname","value":"Sampler"},{"forename":{"text":"Quentin"}}]'),
        (MULTIPART, multipart(surname="Sampler", forename="Quentin")),
        ("text/xml", "<p:Surname>Sampler</p:Surname><Forename>Quentin</Forename>"),
    ],
)
def test_what_was_posted_is_replaced_behind_the_names_of_its_fields(kind: str, text: str) -> None:
    written = as_text(cleaned(posted(kind, text, "<p>Sampler, Quentin was saved, sampler was not</p>")).har)
    assert "sampler" not in written.casefold()
    assert "quentin" not in written.casefold()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (JSON, '{"oldPassword":"fifth secret","new":{"pwd":"sixth secret"},"amount":101.50}'),
        (JSON, '[{"name":"newPin","value":"fifth secret"}, {"k_9":"sixth secret"}]'),
        (MULTIPART, multipart(password="fifth secret", k_9="sixth secret")),
        ("application/soap+xml", "<Password>fifth secret</Password><k_9>sixth secret</k_9>"),
    ],
)
def test_secrets_are_removed_from_whatever_was_posted(kind: str, text: str) -> None:
    written = as_text(cleaned(entry(), posted(kind, text)).har)
    assert "fifth" not in written
    assert "sixth" not in written
    assert written.count("removed") == 2


@pytest.mark.parametrize(
    "page",
    [
        '<label for="b">Surname</label><input id="b" name="f_07" value="Sampler">',
        '<label>Surname: <input name="f_07" value="Sampler"></label>',
        '<table><tr><td>Surname</td><td><b><input name="f_07" value="Sampler"></b></td></tr></table>',
        '<input name="f_07" placeholder="Surname" value="Sampler">',
        '<label for="b">Landlord</label><select id="b"><option>Quentin Sampler</option></select>',
        '<p data-surname="Sampler">Saved</p>',
        '<a href="/find?surname=Sampler">Saved</a>',
    ],
)
def test_what_stands_in_a_box_is_replaced_behind_its_label(page: str) -> None:
    assert "Sampler" not in as_text(cleaned(entry(answer=page)).har)


def test_what_was_sent_from_a_box_is_replaced_behind_the_label_it_has_on_its_page() -> None:
    page = '<form><label for="b">Surname</label><input id="b" name="f_07"><button>Find</button></form>'
    session = cleaned(entry(answer=page), entry("http://system.test/find?f_07=sampler", "<p>None</p>"))
    assert "sampler" not in as_text(session.har)
    assert "<button>Find</button>" in body(session, 0)


def test_a_box_is_called_as_the_page_called_it_that_it_was_sent_from() -> None:
    page = '<form><label for="b">{}</label><input id="b" name="t1"></form>'
    session = cleaned(
        entry(answer=page.format("Forwarding address")),
        entry(posted="t1=Rose+Cottage", answer=page.format("Liable person")),
        entry(posted="t1=Quentin+Sampler"),
    )
    assert session.replacements.by["Rose Cottage"][0] == "address"
    assert session.replacements.by["Quentin Sampler"][0] == "name"


STATE = base64.b64encode(b"\xff\x01\x0f\x16Mr Quentin Sampler\x02\x05\tAB123456C\n").decode()


def test_a_state_in_bytes_is_searched() -> None:
    with pytest.raises(CasehandError, match="the National Insurance number and the name in entry 1"):
        cleaned(entry(f"http://system.test/?s={quote_plus(STATE)}", "<p>Saved</p>"))
    lines = base64.b64encode(b"Claimant:\nSampler\n").decode()
    with pytest.raises(CasehandError, match="the name in entry 1"):
        cleaned(entry(answer=f"<p>Mr Sampler</p><p class='{lines}'>"))


def test_a_hidden_state_that_holds_somebody_is_replaced_as_a_whole() -> None:
    page = '<form><input type="hidden" name="__VIEWSTATE" value="{}"></form>'
    empty = base64.b64encode(b"\xff\x01 nothing of anybody").decode()
    session = cleaned(
        entry(answer=page.format(STATE)),
        posted("application/x-www-form-urlencoded", "s=" + quote_plus(STATE)),
    )
    written = as_text(session.har)
    assert STATE not in written
    assert quote_plus(STATE) not in written
    assert written.count(base64.b64encode(b"hidden state 1").decode().rstrip("=")) == 2
    assert empty in body(cleaned(entry(answer=page.format(empty))))


def test_a_text_that_is_kept_says_that_it_is_unicode_wherever_it_says_anything() -> None:
    page = '<meta http-equiv="Content-Type" content="text/html; charset=windows-1252"><p>£101.50</p>'
    for kind in ("text/html", "text/html; charset=windows-1252"):
        kept = cleaned(entry(answer=page, kind=kind)).har["log"]["entries"][0]["response"]
        (said,) = (header["value"] for header in kept["headers"] if header["name"] == "Content-Type")
        assert said == "text/html; charset=utf-8"
        assert "charset=utf-8" in kept["content"]["text"]
        assert "1252" not in kept["content"]["text"]
    xml = '<?xml version="1.0" encoding="ISO-8859-1"?><a>£</a>'
    assert 'encoding="utf-8"' in body(cleaned(entry(answer=xml, kind="text/xml")))


def test_a_text_that_is_given_is_replaced_wherever_it_stands() -> None:
    page = "<p onclick=\"go('Quentin Sampler')\">Saved</p>"
    assert "Sampler" not in as_text(cleaned(entry(answer=page), also={"Quentin Sampler": "text"}).har)
