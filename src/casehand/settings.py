"""Settings: from the environment with the prefix CASEHAND_, or a casehand.toml in the working directory."""

import difflib
import os
import re
import tomllib
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from casehand.exceptions import CasehandError
from casehand.folders import FolderSettings, check_apart
from casehand.queue.backoff import Backoff
from casehand.queue.breaker import BreakerPolicy
from casehand.queue.calendar import Nation, WorkingCalendar
from casehand.queue.vault import Vault
from casehand.schedule import Schedule
from casehand.tell import SmtpSettings, SmtpVariables, TellSettings, is_mail

PREFIX = "CASEHAND_"
FILE = Path("casehand.toml")


class AccountSettings(BaseModel):
    """Whom a bot signs in as."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    username: str = Field(min_length=1)
    password: SecretStr = Field(min_length=1)


class BotSettings(BaseModel):
    """Where one bot's legacy system is, and the accounts it has there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://[^/\s]+")
    accounts: tuple[AccountSettings, ...] = Field(min_length=1)


class CalendarSettings(BaseModel):
    """On which days the council works: [calendar] in casehand.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nation: Nation = Nation.ENGLAND_AND_WALES
    closed: tuple[date, ...] = ()  #: own closed days, besides the bank holidays


class Settings(BaseSettings):
    """All that can be set; see docs/settings.md."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", toml_file=FILE)

    home: Path = Path(".casehand")
    redis_url: str | None = None
    database_url: str | None = None
    key: SecretStr | None = None
    workflows: str = ""  #: module names, separated by commas
    browser: str | None = None
    retries: int = Field(default=3, ge=0)
    retry_first_seconds: float = Field(default=10, gt=0)
    retry_longest_seconds: float = Field(default=900, gt=0)
    browser_cases: int = Field(default=5000, gt=0)  #: cases after which a horse is renewed in any case
    pictures: Literal["all", "escalations"] = "all"  #: around each change too, or of what a person must see
    time_zone: str = "Europe/London"  #: whose local time is shown, and whose days figures are counted by
    breaker_failures: int = Field(default=5, ge=1)
    breaker_first_seconds: float = Field(default=30, gt=0)
    breaker_longest_seconds: float = Field(default=900, gt=0)
    bot: dict[str, dict[str, str]] = Field(default_factory=dict)  #: [bot.NAME] in casehand.toml
    console: dict[str, Any] = Field(default_factory=dict)  #: [console]: see console/web/settings.py
    console_url: str | None = Field(default=None, pattern=r"^https?://[^/\s]+")  #: where the web pages are
    smtp: SmtpSettings | None = None  #: [smtp] in casehand.toml
    tell: tuple[TellSettings, ...] = ()  #: each [[tell]] in casehand.toml
    summary_at: time = time(8)  #: when the daily summary is sent, in Europe/London
    calendar: CalendarSettings = CalendarSettings()  #: [calendar] in casehand.toml
    schedule: tuple[Schedule, ...] = ()  #: each [[schedule]] in casehand.toml

    folder: tuple[FolderSettings, ...] = ()  #: each [[folder]] in casehand.toml

    @field_validator("folder")
    @classmethod
    def _are_apart(cls, folders: tuple[FolderSettings, ...]) -> tuple[FolderSettings, ...]:
        check_apart(folders)
        return folders

    @field_validator("time_zone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"there is no time zone {name}: give one such as Europe/London") from None
        return name

    @model_validator(mode="after")
    def _check_mail_can_be_sent(self) -> Self:
        addresses = [one.get_secret_value() for entry in self.tell for one in entry.to]
        if self.smtp is None and any(map(is_mail, addresses)):
            raise ValueError(
                "a [[tell]] names a mailto: receiver: set [smtp], or CASEHAND_SMTP_HOST and _SENDER"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file."""
        return (
            init_settings,
            env_settings,
            SmtpVariables(settings_cls),
            TomlConfigSettingsSource(settings_cls),
        )

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.time_zone)

    @property
    def working_calendar(self) -> WorkingCalendar:
        """The working calendar."""
        return WorkingCalendar(self.calendar.nation, frozenset(self.calendar.closed), self.zone)

    @property
    def ledger_url(self) -> str:
        """The ledger's address: as given, or SQLite under the home."""
        return self.database_url or f"sqlite:///{self.home.absolute() / 'ledger.db'}"

    @property
    def evidence(self) -> Path:
        """Where evidence is kept."""
        return self.home / "evidence"

    @property
    def backoff(self) -> Backoff:
        """How failures are retried."""
        return Backoff(
            timedelta(seconds=self.retry_first_seconds),
            timedelta(seconds=self.retry_longest_seconds),
            self.retries,
        )

    @property
    def breaker(self) -> BreakerPolicy:
        """When a bot whose system fails is left alone."""
        return BreakerPolicy(
            self.breaker_failures,
            timedelta(seconds=self.breaker_first_seconds),
            timedelta(seconds=self.breaker_longest_seconds),
        )

    def vault(self) -> Vault:
        """The master key: CASEHAND_KEY, or the key file that the first start makes."""
        if self.key is not None:
            return Vault.from_text(self.key.get_secret_value())
        return Vault.from_file(self.home / "key")

    def for_bot(self, name: str) -> BotSettings:
        """A bot's address and accounts. Raises CasehandError that names what is missing.

        A second account has the endings _USERNAME_2 and _PASSWORD_2, and so on.
        """
        given = {**self.bot.get(name, {}), **_from_environment(name)}
        variable = bot_prefix(name)
        accounts = [_account(given, variable, ending) for ending in _endings(given)]
        missing = [] if given.get("url") else [f"{variable}URL"]
        missing += [
            f"{variable}{part.upper()}{ending}"
            for ending, account in zip(_endings(given), accounts, strict=True)
            for part, value in account.items()
            if not value
        ]
        if missing:
            raise CasehandError(f"the bot {name} is not set up: set {', '.join(missing)}")
        try:
            return BotSettings.model_validate({"url": given["url"], "accounts": accounts})
        except ValidationError as error:
            part = str(error.errors()[0]["loc"][0]).upper()
            raise CasehandError(f"the bot {name} is set up wrongly: correct {variable}{part}") from None


def load_settings(**given: Any) -> Settings:
    """Read the settings. Raises CasehandError that names the first wrong one."""
    try:
        settings = Settings(**given)
    except tomllib.TOMLDecodeError as error:
        raise CasehandError(f"casehand.toml cannot be read ({error}): correct it") from None
    except SettingsError as error:
        named = re.search(r'field "(\w+)"', str(error))
        name = f"{PREFIX}{named[1].upper()}" if named else "a variable"
        raise CasehandError(f"{name} is wrong: it must be JSON (in {FILE} it is easier to write)") from None
    except ValidationError as error:
        raise CasehandError(_as_one_line(error.errors()[0])) from None
    _make_private(settings.home)
    return settings


def _as_one_line(error: ErrorDetails) -> str:
    said = error["msg"].removeprefix("Value error, ")
    match error["loc"]:
        case ():
            return said
        case ("folder",):
            return said
        case (("tell" | "folder") as entry, int(place), *within):
            of = ".".join(str(part) for part in within if isinstance(part, str))
            return f"[[{entry}]] number {place + 1} is wrong{f' in {of}' if of else ''}: {said[:1].lower()}{said[1:]}"
        case ("schedule", int(), name) if error["type"] == "extra_forbidden":
            known = difflib.get_close_matches(str(name), Schedule.model_fields, n=1) or ["docs/schedules.md"]
            return f"a [[schedule]] has no setting {name}: did you mean {known[0]}?"
        case ("schedule", int(place), *within):
            of = f" in {within[0]}" if within else ""
            return f"[[schedule]] number {place + 1} is wrong{of}: {said[:1].lower()}{said[1:]}"
        case ("calendar", *within):
            of = f" in {within[0]}" if within else ""
            return f"[calendar] is wrong{of}: {said[:1].lower()}{said[1:]}"
        case ("smtp",):
            return f"[smtp] is wrong: {said[:1].lower()}{said[1:]}"
        case place:
            return f"{PREFIX}{'_'.join(map(str, place)).upper()} is wrong: {said[:1].lower()}{said[1:]}"


def bot_prefix(name: str) -> str:
    """The prefix of the environment variables of a bot."""
    return f"{PREFIX}BOT_{name.upper().replace('-', '_')}_"


def _from_environment(name: str) -> dict[str, str]:
    prefix = bot_prefix(name)
    return {
        key.removeprefix(prefix).lower(): value for key, value in os.environ.items() if key.startswith(prefix)
    }


def _endings(given: dict[str, str]) -> list[str]:
    """The endings of the accounts that are given; the first has none."""
    numbers = {key.rpartition("_")[2] for key in given if key.startswith(("username_", "password_"))}
    return ["", *(f"_{number}" for number in sorted(filter(str.isdecimal, numbers), key=int))]


def _account(given: dict[str, str], variable: str, ending: str) -> dict[str, str]:
    file = given.get(f"password_file{ending}")
    password = given.get(f"password{ending}") or (_read_password(variable, Path(file)) if file else "")
    return {"username": given.get(f"username{ending}", ""), "password": password}


def _read_password(variable: str, path: Path) -> str:
    try:
        return path.read_text().rstrip("\n")
    except OSError as error:
        raise CasehandError(f"{variable}PASSWORD_FILE cannot be read ({error.strerror}): {path}") from None


def _make_private(home: Path) -> None:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CasehandError(
            f"{home} cannot be made ({error.strerror}): set CASEHAND_HOME elsewhere"
        ) from None
