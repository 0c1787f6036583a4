"""Keys and what they seal."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casehand.exceptions import CasehandError
from casehand.queue.vault import KEY_BYTES, Key, Vault

KEY = Key("case-1", bytes(range(KEY_BYTES)))
TEXT = "Mrs Invented, 112.40 a week"


@given(st.text())
def test_any_text_comes_out_as_it_went_in(text: str) -> None:
    assert KEY.open_text(KEY.seal_text(text)) == text


def test_half_a_surrogate_pair_from_a_broken_page_is_kept_as_its_escape() -> None:
    assert KEY.open_text(KEY.seal_text("the claim says \ud83d")) == "the claim says \\ud83d"


def test_what_is_sealed_shows_nothing_and_is_never_the_same_twice() -> None:
    first, second = KEY.seal_text(TEXT), KEY.seal_text(TEXT)

    assert first != second
    assert b"Invented" not in first
    assert b"112.40" not in first


@pytest.mark.parametrize("position", [0, 11, 12, 20, -1])
def test_a_changed_byte_anywhere_is_noticed(position: int) -> None:
    sealed = bytearray(KEY.seal_text(TEXT))
    sealed[position] ^= 1

    with pytest.raises(CasehandError, match="cannot be decrypted"):
        KEY.open_text(bytes(sealed))


@pytest.mark.parametrize("length", [0, 5, 12, 27])
def test_what_was_cut_off_is_refused_in_plain_words(length: int) -> None:
    with pytest.raises(CasehandError, match="cannot be decrypted"):
        KEY.open(KEY.seal_text(TEXT)[:length])


def test_what_was_sealed_for_one_case_does_not_pass_for_anothers() -> None:
    other = Key("case-2", bytes(range(KEY_BYTES)))

    with pytest.raises(CasehandError, match="cannot be decrypted"):
        other.open_text(KEY.seal_text(TEXT))


def test_a_wrapped_key_opens_with_its_master_and_for_its_case_alone(vault: Vault) -> None:
    key, wrapped = vault.new_key("case-1")
    sealed = key.seal_text(TEXT)

    assert vault.open_key("case-1", wrapped).open_text(sealed) == TEXT
    with pytest.raises(CasehandError, match="CASEHAND_KEY"):
        vault.open_key("case-2", wrapped)
    with pytest.raises(CasehandError, match="CASEHAND_KEY"):
        Vault(os.urandom(KEY_BYTES)).open_key("case-1", wrapped)


def test_every_case_has_a_key_of_its_own(vault: Vault) -> None:
    one, _ = vault.new_key("case-1")
    two, _ = vault.new_key("case-1")

    with pytest.raises(CasehandError):
        two.open_text(one.seal_text(TEXT))


def test_a_case_whose_key_was_destroyed_is_said_to_be_erased(vault: Vault) -> None:
    with pytest.raises(CasehandError, match="has been erased"):
        vault.open_key("case-1", None)


def test_a_fingerprint_is_the_same_for_one_key_and_another_for_another(vault: Vault) -> None:
    other, _ = vault.new_key("case-1")

    assert KEY.fingerprint(TEXT) == KEY.fingerprint(TEXT)
    assert KEY.fingerprint(TEXT) != other.fingerprint(TEXT)
    assert len(KEY.fingerprint(TEXT)) == 64


def test_a_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "key"

    _, wrapped = Vault.from_file(path).new_key("case-1")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    Vault.from_file(path).open_key("case-1", wrapped)
    assert list(path.parent.iterdir()) == [path]


def test_many_that_start_at_once_share_one_key_file(tmp_path: Path) -> None:
    path = tmp_path / "home" / "key"

    with ThreadPoolExecutor(8) as pool:
        wrapped = [
            vault.new_key("case-1")[1] for vault in pool.map(lambda _: Vault.from_file(path), range(16))
        ]

    last = Vault.from_file(path)
    for one in wrapped:
        last.open_key("case-1", one)


def test_a_key_file_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "key"
    Vault.from_file(path)
    path.chmod(0o640)

    with pytest.raises(CasehandError, match="chmod 600"):
        Vault.from_file(path)


@pytest.mark.parametrize("text", ["", "short", "not base64 at all!", "A" * 43, "A" * 100, "Schlüssel"])
def test_a_key_that_is_none_is_refused_with_the_way_to_make_one(text: str) -> None:
    with pytest.raises(CasehandError, match="32 bytes in URL-safe base64"):
        Vault.from_text(text)


def test_blanks_around_a_key_do_no_harm() -> None:
    Vault.from_text("  " + "A" * 43 + "=\n")
