"""How an upload with a ticket ends, however its bytes were sent: it becomes a file, or is given up."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import uploads
from fileferry.client.calls.uploads import NewFile
from fileferry.client.nouns.files import File
from fileferry.client.nouns.uploads import Ticket
from fileferry.client.transfers.proof import check_size
from fileferry.errors import FerryError


async def complete(
    transport: Transport, ticket: Ticket, listed: list[tuple[int, str]] | None, new: NewFile, size: int
) -> File:
    """Make a file of an upload whose bytes are all there, with the list of its parts where it has some."""
    file = await transport.run(uploads.complete(ticket, listed, new, size=size))
    check_size(file, size)
    return file


async def abort(transport: Transport, upload_id: str, new: NewFile) -> None:
    """Give an upload up."""
    # A courtesy, tried once: the server ends by itself what nobody completes.
    with contextlib.suppress(FerryError):
        await transport.send(uploads.abort(upload_id, new.organization))


@contextlib.asynccontextmanager
async def aborted_on_failure(transport: Transport, ticket: Ticket, new: NewFile) -> AsyncIterator[None]:
    """Give an upload up where sending it raises."""
    try:
        yield
    except Exception:
        await abort(transport, ticket.upload_id, new)
        raise
