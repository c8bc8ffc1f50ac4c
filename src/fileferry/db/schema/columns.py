"""What tables are made of: their register, and the type of their times.

Which rows an index has is said once, as ``sqlite_where``: the same said to another database would load what SQLAlchemy knows of
that (2 MiB for PostgreSQL), so whoever opens one takes it over into its options of the index.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Integer, MetaData, String, Text, TypeDecorator, text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

NUMBER = Integer().with_variant(BigInteger(), "postgresql")
"""A whole number, of 63 bits and a sign on every database: SQLite gives ids by itself only to a column of this name."""


def words(length: int | None = None) -> String:
    """Return the type of a text, compared byte by byte. Its length is for its readers to know: no database checks it."""
    return String(length).with_variant(Text(collation="C"), "postgresql")


def where(condition: str) -> dict[str, Any]:
    """Return the options of an index that has the rows of this condition only."""
    return {"sqlite_where": text(condition)}


def microseconds(moment: datetime) -> int:
    """Return a time as it is stored."""
    return (moment - _EPOCH) // _MICROSECOND


class Instant(TypeDecorator[datetime]):
    """An aware UTC time, stored as microseconds since 1970: exact, ordered, and the same on every database."""

    impl = BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Any) -> Callable[[datetime | None], int | None]:
        """Return what turns a time into microseconds; without the layers that ``process_bind_param`` would come in."""
        return _stored

    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[int | None], datetime | None]:
        """Return what turns microseconds into a time."""
        return _told


def _stored(moment: datetime | None) -> int | None:
    return None if moment is None else microseconds(moment)


def _told(stored: int | None) -> datetime | None:
    return None if stored is None else _EPOCH + timedelta(microseconds=stored)


metadata = MetaData()
