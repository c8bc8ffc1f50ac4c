"""Where flows meet on one path: which of them a request under ``/v1/files`` is for. It answers nothing itself.

A header ``user-id`` selects the signed flow. Without it an id of a folder selects the presigned flow, and one of a file, like the
list of files, the one-call flow.
"""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, Router, delete, get
from litestar.params import Parameter

from fileferry.api import direct, presigned, signed
from fileferry.engine.engine import Engine
from fileferry.model import Principal
from fileferry.web.express import EXPRESS
from fileferry.web.parameters import unknown_name
from fileferry.web.requests import AnyRequest, Cursor, Limit


@get("/files")
async def list_files(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    cursor: Cursor = "",
    limit: Annotated[str | None, Parameter(description="How many to return, 1 to 1000; for a user 1 to 100.")] = None,
    page: Annotated[str | None, Parameter(description="For a user: which page, from 1.")] = None,
) -> direct.DirectPage | signed.ListedFiles:
    """List files, newest first: with ``user-id`` those of an end user, by pages; all others by cursor."""
    if signed.is_meant(request):
        _refuse_misplaced(cursor=cursor)
        return await signed.list_files(engine, principal, page, limit)
    _refuse_misplaced(page=page)
    return await direct.list_files(request, engine, principal, cursor, limit)


@get("/files/{id:str}", opt=EXPRESS)
async def show(
    request: AnyRequest, engine: Engine, principal: Principal, id: str, cursor: Cursor = "", limit: Limit = None
) -> Response[Any]:
    """List a folder's confirmed files where ``id`` is a folder's, inspect a file otherwise."""
    if not signed.is_meant(request) and await engine.folders.exists(principal, id):
        return await presigned.list_files(request, engine, principal, id, cursor, limit)
    _refuse_misplaced(cursor=cursor, limit=limit)
    if signed.is_meant(request):
        return Response(await signed.show_file(request, engine, principal, id))
    return await direct.show_file(request, engine, principal, id)


@delete("/files/{file_id:str}")
async def delete_file(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> None:
    """Delete a file: its public access ends at once. With ``user-id`` one that is attached lives on until it is released."""
    if signed.is_meant(request):
        await signed.delete_file(engine, principal, file_id)
    else:
        await direct.delete_file(engine, principal, file_id)


def _refuse_misplaced(**parameters: str | None) -> None:
    """Raise InvalidParameter for one of these that came, though the flow that the request is for has none of them."""
    for name, value in parameters.items():
        if value:
            raise unknown_name(name, ())


def render_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer with the envelope of the flow that the request is for."""
    render = signed.render_error if signed.is_meant(request) else direct.render_error
    return render(request, error)


router = Router(
    "/v1",
    route_handlers=[direct.upload, list_files, show, delete_file],
    parameters={"user_id": signed.USER_PARAMETER},
    exception_handlers={Exception: render_error},
)
