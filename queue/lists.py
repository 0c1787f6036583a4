"""Lists in an order, read by an index in whatever part: no list is sorted that may be a million long.

An index gives an order within what it begins with, such as one workflow and one state. A list of several
workflows and all states is so many short lists, each read only as far as the page needs, and put together.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import product
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, literal, select, tuple_, union_all
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from casehand.exceptions import CasehandError

MOST_BRANCHES = 120
"""SQLite takes 500 in one statement; with more than these, rare ones are looked for among the others."""

SEPARATOR = "~"

Columns = Sequence[ColumnElement[Any]]


def branches(*choices: tuple[ColumnElement[Any], Collection[str] | None]) -> list[ColumnElement[bool] | None]:
    """Every combination of what the columns may be, each as a condition; None for a column that may be anything."""
    given = [(column, sorted(values)) for column, values in choices if values is not None]
    combined = list(product(*(values for _, values in given)))
    if not given:
        return [None]
    if not combined:
        return [false()]
    if len(combined) > MOST_BRANCHES:
        return [and_(*(column.in_(values) for column, values in given))]
    columns = [column for column, _ in given]
    return [and_(*map(_equals, columns, values)) for values in combined]


def in_order(
    query: Select[Any],
    parts: Sequence[ColumnElement[bool] | None],
    order: Columns,
    backwards: bool = False,
    behind: Sequence[Any] | None = None,
    limit: int | None = None,
) -> Select[Any]:
    """The rows of all parts in one order, behind a place in it; the query must select what it is ordered by."""
    if behind is not None:
        query = query.where(_behind(order, behind, backwards))
    short = [_sorted(query if part is None else query.where(part), order, backwards, limit) for part in parts]
    if len(short) == 1:
        return short[0]
    whole = union_all(*(select(one.subquery()) for one in short)).subquery()
    return _sorted(select(whole), [whole.c[_name(column)] for column in order], backwards, limit)


def unsought(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A text column that is to be looked at in each row, and not looked up, where another index has fewer rows.

    PostgreSQL knows by itself which has fewer, by how often each value comes, and is not kept from it.
    """
    return _Unsought(column)


def as_place(moment: datetime, case: str) -> str:
    """A place in a list whose cases may move in it: they go on from there, wherever the case is by then."""
    return f"{moment.isoformat()}{SEPARATOR}{case}"


def read_place(text: str) -> tuple[datetime, str] | None:
    """Read what `as_place` gave; None for what is no such place, but an id. Raises CasehandError for neither."""
    moment, separator, case = text.partition(SEPARATOR)
    if not separator:
        return None
    try:
        read = datetime.fromisoformat(moment)
        if read.tzinfo is None:
            raise ValueError(moment)
    except ValueError:
        raise CasehandError("there is no such place in the list: begin at its beginning") from None
    return read, case


class _Unsought(FunctionElement[Any]):
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)
        self.type = column.type


@compiles(_Unsought)
def _as_it_is(element: _Unsought, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(next(iter(element.clauses)), **options)


@compiles(_Unsought, "sqlite")
def _as_no_column(element: _Unsought, compiler: SQLCompiler, **options: Any) -> str:
    return f"({_as_it_is(element, compiler, **options)} || '')"


def _equals(column: ColumnElement[Any], value: str) -> ColumnElement[bool]:
    return column == value


def _behind(order: Columns, place: Sequence[Any], backwards: bool) -> ColumnElement[bool]:
    values = tuple_(*(literal(value, column.type) for value, column in zip(place, order, strict=True)))
    return tuple_(*order) < values if backwards else tuple_(*order) > values


def _sorted(query: Select[Any], order: Columns, backwards: bool, limit: int | None) -> Select[Any]:
    return query.order_by(*(column.desc() if backwards else column for column in order)).limit(limit)


def _name(column: ColumnElement[Any]) -> str:
    return str(column.key)
