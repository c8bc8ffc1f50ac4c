"""Connections to PostgreSQL: how they are opened, how long they wait, and opening them anew where they break.

What runs on them is for ``postgresql`` to say. A session is used by one thread at a time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import JSON

from fileferry.db.failures import is_passing
from fileferry.db.statements import told
from fileferry.logs import get_logger
from fileferry.settings import Settings

T = TypeVar("T")

LOCK = 0x66696C6566657272
"""The advisory lock of who writes (decision 0047): "fileferr" in ASCII, so that it is nobody else's."""

_AGAIN_SECONDS = 0.1
_CONNECT_SECONDS = 5
# A host that is gone says nothing: asked after 10 s of silence, it is given up after 15 s more.
_KEEPALIVE = {"keepalives": "1", "keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3"}
_log = get_logger(__name__)


class _Json(postgresql.JSON):
    """JSON that comes from the driver as text, as from SQLite's: so equal rows are equal objects, which can be remembered."""

    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[str | None], Any]:
        return lambda value: None if value is None else msgspec.json.decode(value)


class Times(msgspec.Struct, frozen=True):
    """How long things may take on a connection, in milliseconds, as PostgreSQL's settings of the same names."""

    statement_timeout: int
    lock_timeout: int
    idle_in_transaction_session_timeout: int

    def local(self) -> str:
        """Return them as SQL for one transaction."""
        return "".join(f"SET LOCAL {name} = {getattr(self, name)};" for name in self.__struct_fields__)

    def options(self) -> str:
        """Return them for a connection that keeps them: libpq's ``options``."""
        return " ".join(f"-c {name}={getattr(self, name)}" for name in self.__struct_fields__)


def times_of(settings: Settings) -> Times:
    """Return the time-outs that the settings say."""
    return Times(
        round(settings.database_statement_timeout.total_seconds() * 1000),
        round(settings.database_lock_timeout.total_seconds() * 1000),
        # A process that was stopped, or whose host is gone, must not hold up everybody else's writes.
        round(settings.database_lock_timeout.total_seconds() * 1000),
    )


def lookup_engine(url: str, settings: Settings) -> Engine:
    """Return an engine that cannot write and opens no transactions: every statement sees what is committed when it runs."""
    options = "-c default_transaction_read_only=on"
    return _create_engine(url, settings, "" if settings.database_pooler else options)


def reader_engine(url: str, settings: Settings) -> Engine:
    """Return an engine of transactions that see one state of the database, and cannot write."""
    return _beginning(
        _create_engine(url, settings),
        f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;{times_of(settings).local()}",
    )


def writer_engine(url: str, settings: Settings) -> Engine:
    """Return the engine that writes, one transaction of all processes at a time: decision 0047."""
    engine = _create_engine(url, settings)

    @event.listens_for(engine, "after_cursor_execute")
    def _receive(connection: Connection, *_: object) -> None:
        # SQLAlchemy asks the cursor what has come.
        if (pipeline := connection.info.get("pipeline")) is not None:
            pipeline.sync()

    return _beginning(
        engine,
        f"BEGIN ISOLATION LEVEL READ COMMITTED;{times_of(settings).local()}SELECT pg_advisory_xact_lock({LOCK})",
    )


@contextlib.contextmanager
def pipelined(connection: Connection) -> Iterator[None]:
    """Send statements of ``Kept.run`` without waiting for their answers, which come with those of the next that has rows.

    So an error may be told by a later statement than the one that it is of. libpq's pipeline mode:
    https://www.postgresql.org/docs/15/libpq-pipeline-mode.html.
    """
    driver: Any = connection.connection.driver_connection
    try:
        with driver.pipeline() as connection.info["pipeline"]:
            yield
    except driver.Error as error:  # of the last ones, or of the connection
        raise told(connection, None, None, error) from error
    finally:
        connection.info.pop("pipeline", None)


def _beginning(engine: Engine, words: str) -> Engine:
    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # All in one go, as what has no parameters may be. The driver itself opens no transactions.
        connection.exec_driver_sql(words, None, {"no_parameters": True})

    return engine


def _create_engine(url: str, settings: Settings, options: str = "") -> Engine:
    named = make_url(url).set(drivername="postgresql+psycopg")
    given: dict[str, Any] = {
        **_KEEPALIVE,
        "connect_timeout": _CONNECT_SECONDS,
        "application_name": "fileferry",
        **named.query,
        "autocommit": True,
        # A pooler hands each transaction to another connection, which knows nothing of what was prepared.
        "prepare_threshold": None if settings.database_pooler else 5,
    }
    if not settings.database_pooler:
        given["options"] = f"{given.get('options', '')} {times_of(settings).options()} {options}".strip()
    engine = create_engine(
        named.set(query={}),
        poolclass=NullPool,
        paramstyle="format",
        connect_args=given,
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
    )
    engine.dialect.colspecs = {**engine.dialect.colspecs, JSON: _Json}

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        from psycopg.types.numeric import Int8Dumper
        from psycopg.types.string import TextLoader

        connection.adapters.register_loader("json", TextLoader)
        # One type for all numbers: a statement is prepared anew for each combination of types.
        connection.adapters.register_dumper(int, Int8Dumper)

    return engine


class Session:
    """One connection, opened when it is first used, and anew after it broke."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._is_away = False
        self._is_closed = threading.Event()

    def connection(self) -> Connection:
        """Return the connection; raises what the driver raises where there is none to be had."""
        if self._connection is None:
            self._connection = self._engine.connect()
            self._is_away = False
        return self._connection

    def run(self, call: Callable[[Connection], T], deadline: float) -> T:
        """Return what ``call``, which only reads, returns: from the start again where the connection breaks, until ``deadline``.

        ``deadline`` is of ``time.monotonic``. Raises what the driver raises.
        """
        while True:
            try:
                return call(self.connection())
            except Exception as error:
                if not is_passing(error) or not self.wait(error, deadline):
                    raise

    def wait(self, error: Exception, deadline: float) -> bool:
        """Let go of what broke, and wait a little; False where that is past ``deadline``."""
        if not self._is_away:
            self._is_away = True
            _log.warning("database_away", error=str(getattr(error, "orig", error)).partition("\n")[0])
        self.drop()
        return time.monotonic() + _AGAIN_SECONDS < deadline and not self._is_closed.wait(_AGAIN_SECONDS)

    def drop(self) -> None:
        """Close the connection, whatever it is in the middle of."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.invalidate()
            with contextlib.suppress(Exception):
                connection.close()

    def close(self) -> None:
        """Close the connection, and wait no more."""
        self._is_closed.set()
        self.drop()


class Sessions:
    """A session for each thread that asks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._own = threading.local()
        self._all: list[Session] = []

    def session(self) -> Session:
        """Return this thread's own."""
        found: Session | None = getattr(self._own, "session", None)
        if found is None:
            found = self._own.session = Session(self._engine)
            self._all.append(found)
        return found

    def close(self) -> None:
        """Close all of them."""
        for session in self._all:
            session.close()
