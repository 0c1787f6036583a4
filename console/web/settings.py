"""The settings of the web pages: [console] in casehand.toml, or CASEHAND_CONSOLE_… in the environment."""

import json
import os
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from casehand.console.rights import Role
from casehand.exceptions import CasehandError
from casehand.settings import Settings

PREFIX = "CASEHAND_CONSOLE_"
PORT = 8017


class ConsoleSettings(BaseModel):
    """All that can be set for the pages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=PORT, ge=1, le=65535)
    url: str | None = Field(
        default=None, pattern=r"^https?://[^/\s]+/?$"
    )  #: where people's browsers reach it
    idle_minutes: float = Field(default=30, gt=0)
    longest_hours: float = Field(default=12, gt=0)
    oidc_issuer: str | None = None
    oidc_client: str | None = None
    oidc_secret: SecretStr | None = None
    oidc_scope: str = "openid profile email"
    oidc_groups: str = "groups"  #: the claim that names a person's groups
    oidc_person: str = (
        "email"  #: the claim by which the audit names a person; his subject where it is missing
    )
    roles: dict[str, dict[str, tuple[Role, ...]]] = Field(default_factory=dict)
    """For each group, the roles by workflow, or "*"."""
    sign_ins_a_minute: int = Field(default=30, ge=1)  #: from one address
    live_connections: int = Field(default=100, ge=0)  #: pages that are told of changes at once

    @field_validator("oidc_issuer")
    @classmethod
    def check_issuer(cls, issuer: str | None) -> str | None:
        """Raise ValueError unless what the provider says can be believed."""
        if issuer is None:
            return None
        parts = urlsplit(issuer)
        if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            return issuer
        raise ValueError("it must begin with https://")

    @model_validator(mode="after")
    def check_oidc(self) -> Self:
        """Raise ValueError when OpenID Connect is set by half."""
        if self.has_oidc and not self.oidc_client:
            raise ValueError("oidc_issuer needs oidc_client")
        if self.has_oidc and not self.roles:
            raise ValueError("oidc_issuer needs roles, or nobody may do anything")
        return self

    @property
    def idle(self) -> timedelta:
        """How long a session lasts that nothing is done in."""
        return timedelta(minutes=self.idle_minutes)

    @property
    def longest(self) -> timedelta:
        """How long a session lasts at most."""
        return timedelta(hours=self.longest_hours)

    @property
    def address(self) -> str:
        """Where a person's browser finds the pages, without a slash at the end."""
        return (self.url or f"http://{self.local_name}:{self.port}").rstrip("/")

    @property
    def local_name(self) -> str:
        """The host as an address names it."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the pages encrypted."""
        return urlsplit(self.address).scheme == "https"

    @property
    def has_oidc(self) -> bool:
        """Whether people sign in by OpenID Connect."""
        return self.oidc_issuer is not None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach what it listens on."""
        return is_loopback(self.host)


def console_settings(settings: Settings, **given: Any) -> ConsoleSettings:
    """The settings of the pages; `given` wins over the environment, and that over the file.

    Raises CasehandError that names the first wrong one.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    if "url" in settings.console:
        raise CasehandError(
            "[console] has no url: write console_url at the top of casehand.toml, for messages too"
        )
    set_up = {**settings.console, **_from_environment(), "url": settings.console_url}
    try:
        return ConsoleSettings.model_validate({**set_up, **chosen})
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        raise CasehandError(f"{name} is wrong: {first['msg'].lower()}") from None


def is_loopback(host: str) -> bool:
    """Whether a host, as a name or an address, is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _from_environment() -> dict[str, Any]:
    given: dict[str, Any] = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in os.environ.items()
        if name.startswith(PREFIX)
    }
    if "roles" in given:
        given["roles"] = _as_table(given["roles"])
    return given


def _as_table(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise CasehandError(
            f'{PREFIX}ROLES is no JSON: give it as {{"group": {{"*": ["supervisor"]}}}}'
        ) from None
