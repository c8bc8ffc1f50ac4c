"""Style, scripts and pictures of the pages, each at an address that names its content, so that browsers keep it for good."""

from __future__ import annotations

import functools
import gzip
import hashlib
from importlib import resources

import msgspec
from litestar import Response, get

from fileferry.errors import NotFound
from fileferry.web.requests import AnyRequest

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_FOLDER = resources.files("fileferry.ui") / "static"


class Asset(msgspec.Struct, frozen=True):
    """A file as it is sent."""

    content: bytes
    packed: bytes
    digest: str
    media_type: str


@functools.cache
def load(name: str) -> Asset:
    """Return a file of the package; raises NotFound for what is none."""
    suffix = name[name.rfind(".") :]
    file = _FOLDER.joinpath(*name.split("/"))
    if ".." in name or suffix not in _TYPES or not file.is_file():
        raise NotFound("There is nothing at this address.")
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    return Asset(content, gzip.compress(content, 9, mtime=0), digest, _TYPES[suffix])


def address(name: str) -> str:
    """Return where a file is, below the root of the pages."""
    return f"/assets/{load(name).digest}/{name}"


@get("/assets/{digest:str}/{name:path}")
async def get_asset(request: AnyRequest, digest: str, name: str) -> Response[bytes]:
    """Serve a file of the package to anybody."""
    asset = load(name.lstrip("/"))
    if digest != asset.digest:
        raise NotFound("There is nothing at this address.")
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Vary": "Accept-Encoding",
    }
    content = asset.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = asset.packed, "gzip"
    return Response(content, media_type=asset.media_type, headers=headers)
