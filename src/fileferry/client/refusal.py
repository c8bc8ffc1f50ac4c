"""Why an asynchronous upload was cut off: asyncio drops an answer that comes while it sends, so it is asked for again.

The question is the same upload with one byte of its body: a server that refuses says why, any other stores nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpcore

from fileferry.client.sources import Sending

SECONDS = 2.0
"""How long a server has to refuse."""


def is_worth_asking(sending: Sending) -> bool:
    """Return whether the upload broke off midway; its size is then more than the question's one byte."""
    return sending.sent > 1 and not sending.ended


def question_headers(asked: Mapping[str, str], sending: Sending) -> dict[str, str]:
    """Return the upload's headers with a size that is at least what the server had seen; nothing to remember it by."""
    size = sending.sent if sending.total is None else sending.total
    kept = {name: value for name, value in asked.items() if name != "Idempotency-Key"}
    return {**kept, "Content-Length": str(size)}


async def one_byte() -> AsyncIterator[bytes]:
    """Yield a byte, then make the HTTP library turn to the answer, as it does when a connection breaks."""
    yield b"\0"
    raise httpcore.WriteError("One byte was all there is to send.")
