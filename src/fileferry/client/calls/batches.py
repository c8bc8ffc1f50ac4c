"""The requests about batches, as values."""

from __future__ import annotations

from collections.abc import Iterable

from fileferry.client.calls.call import Call, given, nothing, read_as, segment, with_query
from fileferry.client.nouns.batches import Batch, OpenBatch, batch_from, open_batch_from
from fileferry.client.nouns.organizations import Organization


def create(
    files: Iterable[dict[str, object]],
    *,
    expires_in: str | None,
    workspace: str | None,
    organization: Organization | str | None,
) -> Call[OpenBatch]:
    """Return the request for the tickets of a batch; each file is said as a member of the native API's body."""
    body: dict[str, object] = {"files": list(files), **given(expires_in=expires_in, workspace=workspace)}
    path = with_query("/api/batches", given(organization=organization))
    return Call(
        method="POST", path=path, json=body, read=lambda response: read_as(response, open_batch_from, "a batch")
    )


def commit(batch_id: str, organization: Organization | str | None) -> Call[Batch]:
    """Return the request that makes the uploads of a batch files, all or none."""
    path = with_query(f"/api/batches/{segment(batch_id)}/commit", given(organization=organization))
    return Call(method="POST", path=path, read=lambda response: read_as(response, batch_from, "a committed batch"))


def abort(batch_id: str, organization: Organization | str | None) -> Call[None]:
    """Return the end of a batch that is not to be committed."""
    path = with_query(f"/api/batches/{segment(batch_id)}", given(organization=organization))
    return Call(method="DELETE", path=path, read=nothing)
