"""Statements that run for nearly every request: SQLAlchemy says once what they are, and the driver gets them as kept text.

Building and executing them through SQLAlchemy each time costs several times what the database takes for them (decision 0041).
What is composed at run time, or runs rarely, is for ``Connection.execute``.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Dialect, Table, bindparam, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

Parameters = Mapping[str, Any]
Row = tuple[Any, ...]

T = TypeVar("T")

_Process = Callable[[Any], Any]
_NOTHING: Parameters = {}


class Kept:
    """One statement. Its parameters must have the same names each time; those of an insert without values are its columns.

    Errors are those of ``Connection.execute``: SQLAlchemy's, around the driver's.
    """

    def __init__(self, statement: Executable) -> None:
        self._statement: Any = statement
        self._text: _Text | None = None
        self._lock = threading.Lock()

    def run(self, conn: Connection, parameters: Parameters = _NOTHING) -> None:
        """Execute. In a pipeline it may not have run yet: its error then comes from a later statement."""
        self._execute(conn, parameters)

    def run_many(self, conn: Connection, many: Sequence[Parameters]) -> None:
        """Execute for each of these parameters, one at least."""
        text = self._of(conn, many[0])
        cursor = conn.connection.cursor()
        values = [text.values(parameters) for parameters in many]
        try:
            cursor.executemany(text.sql, values)
        except Exception as error:
            raise told(conn, text.sql, values, error) from error

    def first(self, conn: Connection, parameters: Parameters = _NOTHING) -> Row | None:
        """Return the first row, or None."""
        text, rows = self._rows(conn, parameters)
        return text.row(rows[0]) if rows else None

    def all(self, conn: Connection, parameters: Parameters = _NOTHING) -> list[Row]:
        """Return every row."""
        text, rows = self._rows(conn, parameters)
        return [text.row(row) for row in rows]

    def scalar(self, conn: Connection, parameters: Parameters = _NOTHING) -> Any:
        """Return the first column of the first row; None where there is none."""
        row = self.first(conn, parameters)
        return None if row is None else row[0]

    def _rows(self, conn: Connection, parameters: Parameters) -> tuple[_Text, list[Any]]:
        text, cursor = self._execute(conn, parameters)
        try:
            # All of them: a statement that was not read to its end keeps its transaction open.
            return text, cursor.fetchall()
        except Exception as error:
            raise told(conn, text.sql, parameters, error) from error

    def _execute(self, conn: Connection, parameters: Parameters) -> tuple[_Text, Any]:
        text = self._of(conn, parameters)
        values = text.values(parameters)
        cursor = conn.connection.cursor()
        try:
            cursor.execute(text.sql, values)
        except Exception as error:
            raise told(conn, text.sql, values, error) from error
        return text, cursor

    def _of(self, conn: Connection, parameters: Parameters) -> _Text:
        text = self._text
        if text is None or text.dialect != conn.dialect.name:
            with self._lock:
                text = self._text = _Text(self._statement, conn.dialect, list(parameters))
        return text


class KeptRecord(Kept, Generic[T]):
    """A kept statement that finds one record: equal rows are the same object, which is made once, so it must be immutable.

    The row is read anew each time, so what any process has changed counts at once: only the making is remembered.
    """

    def __init__(self, statement: Executable, make: Callable[[Row], T], most: int = 1024) -> None:
        super().__init__(statement)
        self._make = make
        self._made = functools.lru_cache(maxsize=most)(self._made_of)

    def find(self, conn: Connection, parameters: Parameters = _NOTHING) -> T | None:
        """Return the record of the first row, or None."""
        rows = self._rows(conn, parameters)[1]
        return self._made(rows[0]) if rows else None

    def _made_of(self, raw: Row) -> T:
        assert self._text is not None, "the row came by it"
        return self._make(self._text.row(raw))


class _Text:
    """A statement as its driver takes it: the words, and how values are to be brought into the driver's form and back."""

    def __init__(self, statement: Any, dialect: Dialect, names: list[str]) -> None:
        columns = [name for name in names if name in _columns_of(statement)]
        compiled: SQLCompiler = statement.compile(dialect=dialect, column_keys=columns or None)
        self.dialect = dialect.name
        self.sql = str(compiled)
        assert compiled.positional, "the driver numbers its parameters"
        order = list(compiled.positiontup or ())
        fixed = {name: value for name, value in compiled.params.items() if name not in names}
        if not set(names) <= set(order) or any(compiled.binds[name].required for name in fixed):
            raise TypeError(f"{sorted(names)} are given, {sorted(set(order))} expected: {self.sql}")
        types = {name: compiled.binds[name].type for name in order}
        binders = {name: process for name in order if (process := _binder(types[name], dialect)) is not None}
        self._names = frozenset(names)
        self._fixed = {name: binders[name](value) if name in binders else value for name, value in fixed.items()}
        self._pick = _picker(order)
        self._binders = [(at, binders[name]) for at, name in enumerate(order) if name in binders and name in names]
        shown = [_reader(column.type, dialect) for column in _shown(statement)]
        self._readers = [(at, read) for at, read in enumerate(shown) if read is not None]

    def values(self, parameters: Parameters) -> Sequence[Any]:
        """Return the parameters in the order and form that the driver takes them in."""
        if parameters.keys() != self._names:
            raise TypeError(f"{sorted(parameters)} are given, {sorted(self._names)} expected: {self.sql}")
        values = self._pick({**parameters, **self._fixed} if self._fixed else parameters)
        if not self._binders:
            return values
        changed = list(values)
        for at, bind in self._binders:
            changed[at] = bind(changed[at])
        return changed

    def row(self, raw: Row) -> Row:
        """Return a row of the driver's with the values that its columns stand for."""
        if not self._readers:
            return raw
        changed = list(raw)
        for at, read in self._readers:
            changed[at] = read(changed[at])
        return tuple(changed)


def change(conn: Connection, table: Table, id: str, values: Mapping[str, Any]) -> None:
    """Change columns of the row with this id."""
    _changing(table, tuple(values)).run(conn, {**values, "of_id": id})


@functools.lru_cache(maxsize=256)
def _changing(table: Table, _names: tuple[str, ...]) -> Kept:
    return Kept(update(table).where(table.c.id == bindparam("of_id")))


def told(conn: Connection, sql: str | None, values: Any, error: Exception) -> BaseException:
    """Return an error as SQLAlchemy tells it; one that is not the driver's as it is."""
    if conn.dialect.dbapi is None:
        return error
    return DBAPIError.instance(sql, values, error, conn.dialect.dbapi.Error, dialect=conn.dialect)


def _columns_of(statement: Any) -> Any:
    table = getattr(statement, "table", None)
    return () if table is None else table.c


def _shown(statement: Any) -> list[Any]:
    """Return the columns of a statement's rows: those that a select names, or that a change gives back."""
    return list(statement.selected_columns if statement.is_select else statement.exported_columns)


def _picker(order: list[str]) -> Callable[[Parameters], Sequence[Any]]:
    if len(order) > 1:
        return itemgetter(*order)
    return lambda parameters: [parameters[name] for name in order]


def _binder(type: TypeEngine[Any], dialect: Dialect) -> _Process | None:
    return type.dialect_impl(dialect).bind_processor(dialect)


def _reader(type: TypeEngine[Any], dialect: Dialect) -> _Process | None:
    return type.dialect_impl(dialect).result_processor(dialect, None)
