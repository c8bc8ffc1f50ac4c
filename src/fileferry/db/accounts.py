"""Queries of people who sign in. Their rights are in the table of keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, select, update

from fileferry.db.keys import key_of
from fileferry.db.schema import accounts, keys
from fileferry.model import Account

_OWN = (accounts.c.issuer, accounts.c.subject, accounts.c.signed_in_at)
_ACCOUNT = select(*keys.c, *_OWN).join_from(accounts, keys, keys.c.id == accounts.c.id)


def insert_account(conn: Connection, account: Account, password: str | None) -> None:
    """Add an account, whose key is there already; ``password`` is what is stored of it."""
    values = {"issuer": account.issuer, "subject": account.subject, "signed_in_at": account.signed_in_at}
    of_key = {"id": account.key.id, "organization_id": account.key.organization_id}
    conn.execute(insert(accounts), {**of_key, **values, "password": password})


def find(conn: Connection, id: str) -> Account | None:
    """Return an account by its id."""
    row = conn.execute(_ACCOUNT.where(accounts.c.id == id)).first()
    return None if row is None else _account_of(row)


def find_subject(conn: Connection, organization_id: str, issuer: str, subject: str) -> Account | None:
    """Return an account by who vouches for it, and what it is called there."""
    named = and_(
        accounts.c.organization_id == organization_id, accounts.c.issuer == issuer, accounts.c.subject == subject
    )
    row = conn.execute(_ACCOUNT.where(named)).first()
    return None if row is None else _account_of(row)


def list_elsewhere(conn: Connection, organization_id: str, issuer: str, subject: str) -> list[Account]:
    """Return the accounts of somebody who is vouched for in other organizations than this one."""
    named = and_(accounts.c.issuer == issuer, accounts.c.subject == subject)
    rows = conn.execute(_ACCOUNT.where(named, accounts.c.organization_id != organization_id).limit(100))
    return [_account_of(row) for row in rows]


def password_of(conn: Connection, id: str) -> str | None:
    """Return what is stored of an account's password."""
    found: str | None = conn.execute(select(accounts.c.password).where(accounts.c.id == id)).scalar()
    return found


def list_accounts(conn: Connection, organization_id: str, after_id: str, limit: int) -> list[Account]:
    """Return an organization's accounts in order of id, those past ``after_id``."""
    query = _ACCOUNT.where(accounts.c.organization_id == organization_id, accounts.c.id > after_id)
    return [_account_of(row) for row in conn.execute(query.order_by(accounts.c.id).limit(limit))]


def update_account(conn: Connection, id: str, **values: Any) -> None:
    """Change columns of an account."""
    conn.execute(update(accounts).where(accounts.c.id == id).values(**values))


def delete_account(conn: Connection, id: str) -> None:
    """Remove an account; its key stays, as what it made names that."""
    conn.execute(delete(accounts).where(accounts.c.id == id))


def _account_of(row: Sequence[Any]) -> Account:
    issuer, subject, signed_in_at = row[len(keys.c) :]
    return Account(key_of(row), issuer, subject, signed_in_at)
