"""Keys: each case is encrypted with its own, and that with the master key. Erasing a case is losing its key."""

import base64
import binascii
import hmac
import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from casehand.exceptions import CasehandError

NONCE_BYTES = 12
KEY_BYTES = 32


class Key:
    """The key of one case or batch."""

    def __init__(self, subject: str, secret: bytes) -> None:
        self._subject = subject.encode()
        self._secret = secret
        self._cipher = AESGCM(secret)

    def seal(self, plain: bytes) -> bytes:
        """Encrypt with AES-GCM, bound to the subject, so that no ciphertext passes for another case's."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, self._subject)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt what `seal` made.

        Raises CasehandError when it was sealed with another key, for another subject, or was altered.
        """
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._subject)
        except (InvalidTag, ValueError):
            raise CasehandError(
                "what the ledger holds cannot be decrypted: set CASEHAND_KEY to the key it was written with"
            ) from None

    def seal_text(self, text: str) -> bytes:
        """Encrypt a text; half a surrogate pair, as a broken web page may hold, is kept as its escape."""
        return self.seal(text.encode(errors="backslashreplace"))

    def open_text(self, sealed: bytes) -> str:
        """Decrypt a text."""
        return self.open(sealed).decode()

    def fingerprint(self, text: str) -> str:
        """A name for a text that tells nothing of it to whoever lacks the key."""
        return hmac.digest(self._secret, text.encode(), "sha256").hex()


class Vault:
    """The master key, which opens the key of every case."""

    def __init__(self, master: bytes) -> None:
        self._master = master

    @classmethod
    def from_text(cls, text: str) -> "Vault":
        """Take the master key as CASEHAND_KEY gives it: 32 bytes in URL-safe base64."""
        try:
            master = base64.urlsafe_b64decode(text.strip())
        except (binascii.Error, ValueError):
            master = b""
        if len(master) != KEY_BYTES:
            raise CasehandError(
                "CASEHAND_KEY is not a key: it must be 32 bytes in URL-safe base64 (make one with "
                "`python -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'`)"
            )
        return cls(master)

    @classmethod
    def from_file(cls, path: Path) -> "Vault":
        """Read the key file, making it with mode 0600 where there is none."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _write_once(path, base64.urlsafe_b64encode(os.urandom(KEY_BYTES)) + b"\n")
        if path.stat().st_mode & 0o077:
            raise CasehandError(f"others can read the key file: run `chmod 600 '{path}'`")
        return cls.from_text(path.read_text())

    def derived(self, label: str) -> bytes:
        """A secret for one purpose, from which neither the master key nor that of another purpose can be told."""
        return hmac.digest(self._master, f"casehand {label}".encode(), "sha256")

    def new_key(self, subject: str) -> tuple[Key, bytes]:
        """Make the key of a new case, and its wrapped form to be kept in the ledger."""
        secret = os.urandom(KEY_BYTES)
        return Key(subject, secret), Key(subject, self._master).seal(secret)

    def open_key(self, subject: str, wrapped: bytes | None) -> Key:
        """Unwrap the key of a case.

        Raises CasehandError when the case has been erased or the master key is another.
        """
        if wrapped is None:
            raise CasehandError("this case has been erased: its key no longer exists")
        return Key(subject, Key(subject, self._master).open(wrapped))

    def fingerprint(self, text: str) -> str:
        """A name for a text that tells nothing of it to whoever lacks the master key."""
        own = hmac.digest(self._master, b"casehand fingerprints", "sha256")
        return hmac.digest(own, text.encode(), "sha256").hex()


def _write_once(path: Path, content: bytes) -> None:
    """Write whole or not at all, and let whoever was first win."""
    with NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.") as draft:
        draft.write(content)
        draft.flush()
        os.fsync(draft.fileno())
        with suppress(FileExistsError):
            os.link(draft.name, path)
