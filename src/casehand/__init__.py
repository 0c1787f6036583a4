"""Casehand works through a council's back-office cases in the legacy web systems it already has."""

from casehand.bots.bot import Account, Bot
from casehand.exceptions import (
    BusinessException,
    CasehandError,
    OutsideAddress,
    SessionExpired,
    SignInRefused,
    SystemException,
)
from casehand.queue.policy import BatchStop
from casehand.schedule import Slot
from casehand.workflows.case import Case
from casehand.workflows.data import CaseData, Personal
from casehand.workflows.due import working_days_after
from casehand.workflows.producer import Producer, producer, scheduled
from casehand.workflows.workflow import Workflow, workflow

__all__ = [
    "Account",
    "BatchStop",
    "Bot",
    "BusinessException",
    "Case",
    "CaseData",
    "CasehandError",
    "OutsideAddress",
    "Personal",
    "Producer",
    "SessionExpired",
    "SignInRefused",
    "Slot",
    "SystemException",
    "Workflow",
    "producer",
    "scheduled",
    "workflow",
    "working_days_after",
]
