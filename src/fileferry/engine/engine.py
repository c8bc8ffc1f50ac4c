"""The engine as one object: what the API flows, the wire protocols and the commands call."""

from __future__ import annotations

import uuid
from contextlib import aclosing
from datetime import datetime

from sqlalchemy import Connection

from fileferry.blobs.direct import Report
from fileferry.blobs.store import BlobStore
from fileferry.db import bookkeeping, upkeep
from fileferry.db.database import Database
from fileferry.db.organizations import find_default_organization
from fileferry.engine.access import keys, links, openid, organizations, roles
from fileferry.engine.access.accounts import Accounts
from fileferry.engine.access.audit import Audit
from fileferry.engine.access.key_uses import KeyUses
from fileferry.engine.access.keys import Keys
from fileferry.engine.access.organizations import Organizations
from fileferry.engine.access.passphrases import Passphrases
from fileferry.engine.access.rates import Rates
from fileferry.engine.access.sessions import Sessions
from fileferry.engine.access.short_urls import ShortUrls
from fileferry.engine.access.workspaces import Workspaces
from fileferry.engine.authorization.clients import Clients
from fileferry.engine.authorization.lending import Lending
from fileferry.engine.events.deliveries import Deliveries
from fileferry.engine.events.history import History
from fileferry.engine.events.outbox import Events
from fileferry.engine.events.webhooks import Webhooks
from fileferry.engine.files.browsing import Browsing
from fileferry.engine.files.catalogue import Files
from fileferry.engine.files.changes import Changing
from fileferry.engine.files.end_users import EndUsers
from fileferry.engine.files.fetches import Fetches
from fileferry.engine.files.folders import Folders
from fileferry.engine.files.hot import Hot
from fileferry.engine.files.name_index import NameIndex
from fileferry.engine.files.processes import Processes
from fileferry.engine.files.references import References
from fileferry.engine.files.shared import Shared
from fileferry.engine.files.shares import Shares
from fileferry.engine.files.sweeper import Sweeper
from fileferry.engine.files.verification import Verifier
from fileferry.engine.preflight.preflights import Preflights
from fileferry.engine.processing.queue import Processing
from fileferry.engine.receiving.arrivals import Arrivals
from fileferry.engine.receiving.batches import Batches
from fileferry.engine.receiving.blocks import Blocks
from fileferry.engine.receiving.completion import Completion
from fileferry.engine.receiving.copies import Copies
from fileferry.engine.receiving.direct_tickets import DirectTickets
from fileferry.engine.receiving.requests import Requests
from fileferry.engine.receiving.room import Room
from fileferry.engine.receiving.streams import Streams
from fileferry.engine.receiving.tickets import Tickets
from fileferry.engine.receiving.under_way import UnderWay
from fileferry.engine.receiving.uploads import Uploads
from fileferry.engine.receiving.visits import Visits
from fileferry.errors import InsufficientStorage, Unavailable
from fileferry.model import Clock
from fileferry.scanners.scanner import Scanner, ScannerAway
from fileferry.settings import Settings, SettingsError


class Engine:
    """Everything that decides, by noun. Made by ``open_engine``."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        room: Room,
        minter: links.Links,
        scanner: Scanner | None,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.database = database
        self.store = store
        self.store_report: Report | None = None
        """What this process found of a bucket when it started; None where it did not try."""
        self.settings = settings
        self.clock = clock
        self.links = minter
        self.processes = Processes(database, clock)
        self.key_uses = KeyUses(database)
        self.keys = Keys(database, self.key_uses, clock)
        self.organizations = Organizations(database, clock)
        self.audit = Audit(database)
        self._room = room
        self.rates = Rates(database, settings, clock)
        self.short_urls = ShortUrls(database, self.rates, clock)
        self.uploads = Uploads(database, store, room, self.rates, settings, clock)
        completion = Completion(database, store, settings, clock)
        self.direct = DirectTickets(database, store, completion, self.rates, settings, clock)
        self.tickets = Tickets(database, completion, self.direct, minter, self.rates, settings, clock)
        self.batches = Batches(database, self.tickets, clock)
        passphrases = Passphrases(minter, self.rates, clock)
        self.shares = Shares(database, passphrases, clock)
        self.shared = Shared(database, passphrases, clock)
        self.requests = Requests(database, passphrases, clock)
        self.visits = Visits(database, passphrases, self.rates, settings, clock)
        self.accounts = Accounts(database, clock)
        self.roles = roles.read(settings)
        self.provider = None if settings.oidc_issuer is None else openid.Provider(settings, self.roles, clock)
        self.sessions = Sessions(database, self.keys, self.key_uses, self.accounts, self.rates, settings, clock)
        self.lending = Lending(database, self.key_uses, Clients(minter, settings, clock), clock)
        self.under_way = UnderWay(database, settings)
        self.arrivals = Arrivals(database, store, room, self.uploads.hashing, completion, self.rates, settings, clock)
        self.streams = Streams(database, store, room, self.uploads.hashing, completion, self.rates, settings, clock)
        self.blocks = Blocks(database, store, completion)
        self.workspaces = Workspaces(database, clock)
        self.folders = Folders(database, clock)
        self.files = Files(database, store, minter, settings, clock)
        self.verifier = Verifier(database, self.files)
        self.copies = Copies(self.uploads, self.files)
        self.hot = Hot(settings.hot_files)
        self.fetches = Fetches(database, settings, clock)
        self.events = Events(database, minter, settings, clock)
        self.history = History(database)
        self.browsing = Browsing(database, clock)
        self.changes = Changing(database, settings, clock)
        self.end_users = EndUsers(database, settings, clock)
        self.references = References(database, clock)
        self.processing = Processing(database, self.files, scanner, settings, clock)
        self.webhooks = Webhooks(database, clock)
        self.deliveries = Deliveries(database, minter, settings, clock, holder=self.processes.own)
        self.preflights = Preflights(settings, clock)
        self.name_index = NameIndex(database)
        self.sweeper = Sweeper(database, store, self.name_index, settings, clock, self.processes.own)

    async def leases(self) -> list[tuple[str, str, datetime]]:
        """Return what one process at a time does for all: its name, the process that does it, and until when that has it."""
        return await self.database.read(bookkeeping.list_leases, self.clock())

    def free_space(self) -> list[tuple[str, int]]:
        """Return the folders that this process writes to, and how many bytes are free on the disk of each."""
        return self._room.free()

    async def shortcomings(self) -> list[str]:
        """Return what does not work now while the rest does; raises Unavailable where not even reading does."""
        await self.database.read(find_default_organization)
        found = []
        try:
            self._room.refuse_full()
            await self.store.check()
        except (InsufficientStorage, Unavailable) as error:
            found.append(error.code)
        try:
            await self.processing.check()
        except ScannerAway:
            found.append("scanner_away")
        if await self.processing.is_behind():
            found.append("processing_behind")
        if not await self.rates.are_shared():
            found.append("rates_not_shared")
        return found

    async def close(self) -> None:
        """Finish what was started and let go of every resource."""
        await self.processing.close()
        await self.rates.close()
        await self.events.close()
        await self.fetches.close()
        await self.key_uses.write()
        await self.processes.close()
        await self.uploads.close()
        await self.store.close()
        await self.database.close()


async def open_engine(
    database: Database, store: BlobStore, room: Room, scanner: Scanner | None, settings: Settings, clock: Clock
) -> Engine:
    """Return an engine on a migrated database that ``install`` has prepared."""
    return Engine(database, store, room, await database.read(links.load), scanner, settings, clock)


async def claim_store(database: Database, store: BlobStore, clock: Clock) -> None:
    """Make sure that database and store belong together; raises SettingsError where they do not.

    A sweep with the wrong store, or with none mounted where it should be, would take every blob for an orphan, or every
    file for lost.
    """
    recorded = await database.read(bookkeeping.find_store)
    carried = await store.identity()
    if recorded is not None and recorded == carried:
        return
    if carried is None and not await database.read(upkeep.any_blob):
        carried = recorded or str(uuid.uuid4())
        if recorded is None:
            # Recorded first: of a start that ended in between, the next one knows that the store is to be this database's.
            await database.write(bookkeeping.insert_store, carried, clock())
            recorded = carried
        await store.identify(carried)
    if carried is None:
        raise SettingsError("The store is not the one that this database's files are in: is its disk mounted?")
    if recorded is None and not store.capabilities.grace and not await _is_empty(store):
        raise SettingsError("The store holds files of another database; use that one, or an empty folder.")
    # One whose claims nobody sees is another's even while it seems to be empty.
    if recorded != carried and (recorded is not None or store.capabilities.grace):
        raise SettingsError("The store belongs to another database: check FILEFERRY_STORE and FILEFERRY_DATABASE_URL.")
    if recorded is None:
        await database.write(bookkeeping.insert_store, carried, clock())


async def _is_empty(store: BlobStore) -> bool:
    async with aclosing(store.orphans()) as keys:
        async for _key in keys:
            return False
    return True


async def install(database: Database, settings: Settings, clock: Clock) -> str | None:
    """Prepare a migrated database: default organization, signing secret, root key.

    Returns the root key's secret where one was made; it can be shown only now.
    """

    def prepare(conn: Connection) -> str | None:
        now = clock()
        organizations.install_default(conn, now)
        links.install_signing_secret(conn, now)
        return keys.install_root_key(conn, settings.root_key, now)

    return await database.write(prepare)
