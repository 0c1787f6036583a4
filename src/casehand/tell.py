"""Whom to tell what, as the settings say it; see docs/telling.md."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from casehand.exceptions import CasehandError
from casehand.queue.occasions import What

SMTP_PREFIX = "CASEHAND_SMTP_"
MAIL = re.compile(r"mailto:[^@\s<>,;?/]+@[^@\s<>,;?/]+")
ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://\S+")
ALONE = ("localhost", "127.0.0.1", "::1")
PORTS = {"starttls": 587, "tls": 465, "none": 25}

HOW = "give an apprise address such as json://chat.example.test/hook, or mailto:team@council.example"


class SmtpSettings(BaseModel):
    """The mail server that `mailto:` receivers are written to through."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(min_length=1)
    port: int | None = Field(default=None, ge=1, le=65535)
    encryption: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    sender: str = Field(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$")

    @model_validator(mode="after")
    def _check_account(self) -> Self:
        has_password = self.password is not None or self.password_file is not None
        if has_password != (self.username is not None):
            raise ValueError("give username and password (or password_file), or neither")
        if has_password and self.encryption == "none" and self.host not in ALONE:
            raise ValueError(
                'a password goes over an encrypted connection only: set encryption to "starttls"'
            )
        return self

    @property
    def at_port(self) -> int:
        """The port: as set, or what is usual."""
        return self.port or PORTS[self.encryption]

    def secret(self) -> str:
        """The password. Raises CasehandError when its file cannot be read."""
        if self.password is not None:
            return self.password.get_secret_value()
        if self.password_file is None:
            return ""
        return _read(self.password_file, f"{SMTP_PREFIX}PASSWORD_FILE").strip("\n")


class TellSettings(BaseModel):
    """One [[tell]]: what is told, of which workflows, to whom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: tuple[What, ...] = Field(min_length=1)
    workflows: tuple[str, ...] | None = Field(default=None, min_length=1)  #: unset: all
    to: tuple[SecretStr, ...] = ()
    to_file: Path | None = None  #: a file with one more on each line
    to_variable: str | None = None  #: an environment variable with more, separated by blanks

    @field_validator("to")
    @classmethod
    def _check_to(cls, to: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for one in to:
            _check_receiver(one.get_secret_value())
        return to

    @model_validator(mode="after")
    def _check_somebody_is_told(self) -> Self:
        if not (self.to or self.to_file or self.to_variable):
            raise ValueError("give `to`, `to_file` or `to_variable`: otherwise nobody is told")
        return self

    def receivers(self) -> list[str]:
        """The addresses, those from file and environment too. Raises CasehandError."""
        found = [one.get_secret_value() for one in self.to]
        if self.to_file is not None:
            lines = _read(self.to_file, "to_file of a [[tell]]").splitlines()
            found += _checked(
                [line.strip() for line in lines if line.strip() and not line.startswith("#")],
                f"to_file {self.to_file}",
            )
        if self.to_variable is not None:
            found += _checked(
                os.environ.get(self.to_variable, "").split(), f"the variable {self.to_variable}"
            )
        return found


class SmtpVariables(PydanticBaseSettingsSource):
    """CASEHAND_SMTP_HOST and so on, each over what the file says."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """One field's value; they are found together instead."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """What the environment sets of the mail server."""
        given = _from(os.environ)
        return {"smtp": given} if given else {}


def is_mail(address: str) -> bool:
    """Whether it is written to through the mail server of the settings."""
    return MAIL.fullmatch(address) is not None


def _from(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(SMTP_PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(SMTP_PREFIX)
    }


def _check_receiver(address: str) -> None:
    if not (is_mail(address) or ADDRESS.fullmatch(address)):
        raise ValueError(HOW)


def _checked(found: list[str], where: str) -> list[str]:
    if not found:
        raise CasehandError(f"{where} names nobody: {HOW}")
    for number, address in enumerate(found, 1):
        try:
            _check_receiver(address)
        except ValueError as error:
            raise CasehandError(f"{where} is wrong at entry {number}: {error}") from None
    return found


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise CasehandError(f"{what} cannot be read ({why}): {path}") from None
