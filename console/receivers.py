"""Who is told what: the settings' [[tell]] entries, by receiver."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from casehand.exceptions import CasehandError
from casehand.queue.occasions import What, Workflows
from casehand.queue.vault import Vault
from casehand.tell import TellSettings, is_mail
from casehand.workflows.installed import find_workflow
from casehand.workflows.workflow import Workflow


@dataclass(frozen=True)
class Receiver:
    """One address that messages go to."""

    id: str  #: as the ledger names him: tells nothing of the address
    address: SecretStr
    shown: str  #: as people are shown him: without what may be secret

    @property
    def is_mail(self) -> bool:
        """Whether he is written to through the mail server of the settings."""
        return is_mail(self.address.get_secret_value())


@dataclass(frozen=True)
class Subscription:
    """What one receiver is told, of which workflows."""

    receiver: Receiver
    what: What
    workflows: Workflows


def subscriptions(entries: Iterable[TellSettings], vault: Vault) -> list[Subscription]:
    """What each receiver is told: of all workflows that an entry for it names.

    Raises CasehandError when a file of addresses cannot be read.
    """
    told: dict[tuple[str, What], Workflows] = {}
    for entry in entries:
        for address in entry.receivers():
            for what in entry.what:
                told[address, what] = _joined(told.get((address, what), frozenset()), entry.workflows)
    return [
        Subscription(_receiver(address, vault), what, workflows)
        for (address, what), workflows in told.items()
    ]


def receivers(entries: Iterable[TellSettings], vault: Vault) -> list[Receiver]:
    """Each receiver, once."""
    return list({one.receiver.id: one.receiver for one in subscriptions(entries, vault)}.values())


def check_told_workflows(entries: Iterable[TellSettings], workflows: Mapping[str, Workflow]) -> None:
    """Raise CasehandError when a [[tell]] names a workflow that there is not: nobody would ever be told of it."""
    for number, entry in enumerate(entries, 1):
        for name in entry.workflows or ():
            try:
                find_workflow(workflows, name)
            except CasehandError as error:
                raise CasehandError(f"[[tell]] number {number} is wrong: {error}") from None


def _joined(before: Workflows, more: tuple[str, ...] | None) -> Workflows:
    return None if before is None or more is None else before | frozenset(more)


def _receiver(address: str, vault: Vault) -> Receiver:
    name = vault.fingerprint(address)
    # The host of some services' addresses is a token.
    shown = address if is_mail(address) else f"{address.partition(':')[0]}://… ({name[:6]})"
    return Receiver(name, SecretStr(address), shown[:200])
