"""Where flows meet on one path: which of them a request under ``/v1/files/{id}`` is for. It answers nothing itself."""

from __future__ import annotations

from typing import Any

from litestar import Response, Router, get

from fileferry.api import direct, presigned
from fileferry.engine.engine import Engine
from fileferry.model import Principal
from fileferry.web.requests import AnyRequest


@get("/files/{id:str}")
async def show(request: AnyRequest, engine: Engine, principal: Principal, id: str) -> Response[Any]:
    """List a folder's confirmed files where ``id`` is a folder's, inspect a file otherwise."""
    if await engine.folders.exists(principal, id):
        return await presigned.list_files(request, engine, principal, id)
    return await direct.show_file(request, engine, principal, id)


router = Router("/v1", route_handlers=[show], exception_handlers={Exception: direct.render_error})
