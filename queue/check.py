"""Check: holds each row of a table against a workflow's model; it is accepted, or rejected with a reason."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from casehand.exceptions import CasehandError
from casehand.queue.cells import Fault, Row
from casehand.queue.fields import Reader, Unfit, reader_for, takes_none
from casehand.queue.reasons import reason_for
from casehand.queue.rows import Table, misshapen, plain_name, quoted

LONGEST_REFERENCE = 200


class Kind(StrEnum):
    """Why a row became no case."""

    REJECTED = "rejected"  #: it does not fit the model
    DUPLICATE = "duplicate"  #: its reference is already there


@dataclass(frozen=True, slots=True)
class Accepted:
    """A row that can become a case."""

    line: int
    reference: str
    data: BaseModel = field(repr=False)
    row: Row = field(repr=False)  #: as it stood in the file


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that cannot."""

    line: int
    kind: Kind
    column: str | None  #: the first at fault; None where it is the row as a whole
    reason: str  #: every fault, and nothing of what the row holds
    reference: str | None  #: None where it is itself at fault, or might be another column's value
    row: Row = field(repr=False)  #: as it stood in the file


Verdict = Accepted | Rejection


def check(table: Table, model: type[BaseModel], reference: str) -> Iterator[Verdict]:
    """Give every row of the table its verdict, in order; `reference` is the field that names the case.

    Raises CasehandError at once when columns are missing or unknown, and later when the file turns out
    to be unreadable further down.
    """
    checker = _Checker(table, model, reference)
    return _once_each(table, checker)


def as_stored(data: BaseModel) -> bytes:
    """The data as the ledger keeps it, under encryption."""
    return data.model_dump_json(by_alias=True).encode()


def title_of(table: Table, model: type[BaseModel], name: str) -> str:
    """What the table calls the column of a field."""
    wanted = plain_name(model.model_fields[name].alias or name)
    return next((title for title in table.header if plain_name(title) == wanted), name)


def _once_each(table: Table, checker: "_Checker") -> Iterator[Verdict]:
    lines: dict[str, int] = {}
    for row in table.rows():
        verdict = checker.verdict(row)
        if isinstance(verdict, Accepted):
            first = lines.setdefault(verdict.reference, verdict.line)
            if first != verdict.line:
                yield _repeated(verdict, first, checker.reference_column)
                continue
        yield verdict


def _repeated(accepted: Accepted, first: int, column: str) -> Rejection:
    reason = f"{column}: the same as on line {first}"
    return Rejection(accepted.line, Kind.DUPLICATE, column, reason, accepted.reference, accepted.row)


@dataclass(frozen=True, slots=True)
class _Column:
    title: str  #: as the file writes it
    name: str  #: the model's field
    read: Reader
    needed: bool
    takes_none: bool
    examples: list[Any] | None


class _Checker:
    """What is the same for every row."""

    def __init__(self, table: Table, model: type[BaseModel], reference: str) -> None:
        self._model = model
        self._reference = reference
        self._columns = _columns(table, model, reference)
        absent = [_column(name, name, info) for name, info in model.model_fields.items()]
        self._by_name = {column.name: column for column in (*absent, *self._columns)}
        self._order = {column.name: number for number, column in enumerate(self._columns)}
        self.reference_column = title_of(table, model, reference)

    def verdict(self, row: Row) -> Verdict:
        fault = self._misshapen(row)
        if fault:
            return Rejection(row.line, Kind.REJECTED, None, fault, None, row)
        values, faults = self._read(row)
        data = self._validate(values, faults)
        if data is not None and not self._is_kept_whole(data):
            faults[None] = "the workflow's model does not keep the row as it is: its author must mend that"
        reference = self._reference_of(data, values, faults)
        if faults or data is None or reference is None:
            return self._rejection(row, faults, reference)
        return Accepted(row.line, reference, data, row)

    def _misshapen(self, row: Row) -> str | None:
        count, expected = len(row.cells), len(self._columns)
        beyond = any(cell is not None for cell in row.cells[expected:])
        if count < expected or beyond:
            return misshapen(count, expected)
        return None

    def _read(self, row: Row) -> tuple[dict[str, object], dict[str | None, str]]:
        values: dict[str, object] = {}
        faults: dict[str | None, str] = {}
        for column, cell in zip(self._columns, row.cells, strict=False):
            if cell is None:
                if column.needed and column.takes_none:
                    values[column.name] = None
                continue
            try:
                if isinstance(cell, Fault):
                    raise Unfit(cell.reason)
                values[column.name] = column.read(cell)
            except Unfit as unfit:
                faults[column.name] = str(unfit)
        return values, faults

    def _validate(self, values: dict[str, object], faults: dict[str | None, str]) -> BaseModel | None:
        """The model's own verdict; what it finds is put beside the faults that are known already."""
        try:
            return self._model.model_validate(values, by_alias=False, by_name=True)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False):
                column = self._by_name.get(str(detail["loc"][0])) if detail["loc"] else None
                name = column.name if column else None
                faults.setdefault(name, reason_for(detail, column.examples if column else None))
        except Exception as error:  # noqa: BLE001 - an author's validator may raise anything, holding the value
            if not faults:
                faults[None] = f"the workflow's own check failed ({type(error).__name__})"
        return None

    def _is_kept_whole(self, data: BaseModel) -> bool:
        """Whether the data will come back from the ledger as it went in; secret fields, for one, would not."""
        try:
            return self._model.model_validate_json(as_stored(data)) == data
        except Exception:  # noqa: BLE001 - an author's validator may raise anything, holding the value
            return False

    def _reference_of(
        self, data: BaseModel | None, values: dict[str, object], faults: dict[str | None, str]
    ) -> str | None:
        if self._reference in faults:
            return None
        value = getattr(data, self._reference) if data is not None else values.get(self._reference)
        reference = "" if value is None else str(value.value if isinstance(value, Enum) else value)
        fault = _reference_fault(reference)
        if fault:
            faults[self._reference] = fault
            return None
        return reference

    def _rejection(self, row: Row, faults: dict[str | None, str], reference: str | None) -> Rejection:
        names = sorted(faults, key=lambda name: self._order.get(name or "", len(self._order)))
        reasons = [_sentence(self._by_name[name].title if name else None, faults[name]) for name in names]
        first = self._by_name[names[0]].title if names[0] else None
        return Rejection(row.line, Kind.REJECTED, first, "; ".join(reasons), reference, row)


def _reference_fault(reference: str) -> str | None:
    if not reference:
        return "is empty"
    if len(reference) > LONGEST_REFERENCE:
        return f"must have no more than {LONGEST_REFERENCE} characters"
    return None if reference.isprintable() else "must be one line without control characters"


def _sentence(title: str | None, fault: str) -> str:
    return f"{title}: {fault}" if title else fault


def _columns(table: Table, model: type[BaseModel], reference: str) -> list[_Column]:
    """The table's columns in its order, each with the field it fills."""
    fields = {plain_name(info.alias or name): name for name, info in model.model_fields.items()}
    found = {title: fields.get(plain_name(title)) for title in table.header}
    _refuse_unknown(table, model, found)
    _refuse_missing(table, model, reference, found)
    return [_column(title, name, model.model_fields[name]) for title, name in found.items() if name]


def _column(title: str, name: str, info: FieldInfo) -> _Column:
    return _Column(
        title=title,
        name=name,
        read=reader_for(info.annotation),
        needed=info.is_required(),
        takes_none=takes_none(info.annotation),
        examples=info.examples,
    )


def _refuse_unknown(table: Table, model: type[BaseModel], found: dict[str, str | None]) -> None:
    unknown = [title for title, name in found.items() if name is None]
    if not unknown:
        return
    wanted = [info.alias or name for name, info in model.model_fields.items()]
    if len(unknown) == len(found) and not any(_nearest(title, wanted) for title in unknown):
        # Then line 1 may well be data, which a message must not repeat.
        raise CasehandError(
            f"{table.path.name}, line {table.line} names no column of the workflow: "
            f"the first line must be a header with {', '.join(wanted)}"
        )
    named = ", ".join(quoted(title) + _hint(_nearest(title, wanted)) for title in unknown)
    raise CasehandError(
        f"{table.path.name} has columns that the workflow does not know, {named}: rename or remove them"
    )


def _refuse_missing(
    table: Table, model: type[BaseModel], reference: str, found: dict[str, str | None]
) -> None:
    missing = [
        info.alias or name
        for name, info in model.model_fields.items()
        if name not in found.values() and (info.is_required() or name == reference)
    ]
    if missing:
        known = ", ".join(quoted(title) for title in found)
        raise CasehandError(
            f"{table.path.name} lacks the columns {', '.join(missing)}: add them (it has {known})"
        )


def _nearest(title: str, wanted: Sequence[str]) -> str | None:
    plain = {plain_name(name): name for name in wanted}
    near = difflib.get_close_matches(plain_name(title), plain, n=1)
    return plain[near[0]] if near else None


def _hint(near: str | None) -> str:
    return f" (did you mean {near}?)" if near else ""
