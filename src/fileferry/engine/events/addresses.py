"""Where the version that an event tells of is served, so that who is told need not ask. Whether it still is, is not known here."""

from __future__ import annotations

from fileferry.engine.access.links import Links, public_path
from fileferry.model import Event


def told(event: Event, minter: Links, base_url: str | None) -> dict[str, object]:
    """Return what is told of the file: as it was then, with the version's public URL where the service knows its own address."""
    url = None
    if base_url is not None and event.version_id is not None:
        token = minter.public_token(event.organization_id, event.file_id, event.version_id)
        url = f"{base_url.rstrip('/')}{public_path(token, str(event.data['name']))}"
    # Events that an earlier release kept have no metadata.
    return {**event.data, "metadata": event.data.get("metadata", {}), "url": url}
