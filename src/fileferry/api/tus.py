"""Where clients of tus create uploads with a key: what is made here goes on at a signed URL, like every other upload."""

from __future__ import annotations

from functools import partial
from typing import Any

from litestar import HttpMethod, Response, Router, post, route

from fileferry.engine.access.links import Right, public_path
from fileferry.engine.engine import Engine
from fileferry.engine.receiving.promises import Promise
from fileferry.errors import MethodNotAllowed
from fileferry.model import Principal, Upload, clean_name, clean_path
from fileferry.web import cors, tus
from fileferry.web.parameters import is_misspelt, unknown_name
from fileferry.web.requests import AnyRequest, base_url, parse_expires_at, parse_expires_in
from fileferry.web.standing import begin_standing

_UNNAMED = "file"
_USED = ("filename", "filetype", "path", "expires_in", "expires_at")


@post("/tus")
async def create_tus_upload(request: AnyRequest, engine: Engine, principal: Principal) -> Response[bytes]:
    """Create an upload by tus 1.0.0; ``Location`` is the signed URL that takes its bytes, ``Content-Location`` its public URL."""
    tus.refuse_other_versions(request)
    if tus.method_of(request) != "POST":
        raise MethodNotAllowed(headers={"Allow": "POST, OPTIONS"})
    asked = tus.creation_of(request, engine)
    if asked.joined is not None:
        # The key is what gives the right to join, so that clients may name uploads without their signatures, as some do.
        ids = [tus.partial_id(url) for url in asked.joined]
        found = {id: await engine.tickets.get(principal, id) for id in dict.fromkeys(ids)}
        for partial in found.values():
            tus.refuse_foreign(partial, principal.key.id)
        upload = await _open(request, engine, principal, asked)
        made = await tus.join(engine, upload, asked.wire(is_told=True), [found[id] for id in ids])
    else:
        upload = await _open(request, engine, principal, asked)
        made = await tus.create(request, engine, upload, asked, asked.wire(is_told=not asked.is_partial))
    answer = await tus.created(request, engine, made)
    answer.headers.update(cors.ANY_ORIGIN)
    if not asked.is_partial:
        answer.headers["Content-Location"] = _public_url(request, engine, upload)
    return answer


@route("/tus", http_method=[HttpMethod.OPTIONS])
async def discover_tus(request: AnyRequest, engine: Engine) -> Response[bytes]:
    """Tell what of tus is spoken, and what a page of any origin may send; needs no key."""
    return Response(b"", status_code=200, headers={**cors.preflight(request), **tus.discovery(engine)})


def render_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer as tus does, so that a page of any origin can read it."""
    answer = tus.render_error(request, error)
    answer.headers.update(cors.ANY_ORIGIN)
    return answer


router = Router("/", route_handlers=[discover_tus, create_tus_upload], exception_handlers={Exception: render_error})


async def _open(request: AnyRequest, engine: Engine, principal: Principal, asked: tus.Creation) -> Upload:
    """Open the upload that the metadata describe: a hand-off, or a version of the file at ``path``."""
    metadata = tus.metadata_of(asked.metadata)
    words: dict[str, Any] = {key: tus.text_of(metadata, key) for key in metadata}
    for word in words:
        if is_misspelt(word, _USED):
            raise unknown_name(word, _USED, "metadata key")
    path, name = words.get("path"), words.get("filename")
    promise = Promise(
        path=clean_path(path) if path else clean_name(name or _UNNAMED),
        at_path=path is not None and not asked.is_partial,
        content_type=words.get("filetype"),
        metadata={key: value for key, value in words.items() if key not in _USED and value is not None},
        expires_in=parse_expires_in(_given(words, "expires_in")),
        expires_at=parse_expires_at(_given(words, "expires_at")),
        size=asked.length,
        auto_complete=not asked.is_partial,
        # A key asks for the URL of a session itself, and has no other.
        url_lifetime=engine.settings.upload_idle_timeout,
    )
    (upload,) = await engine.tickets.open(principal, [promise])
    # Its bytes may come with this request: from here on what counts is who may send to it.
    begin_standing(request, partial(engine.tickets.refuse_lapsed, upload.id, Right.of(principal)), engine.clock)
    return upload


def _given(words: dict[str, Any], name: str) -> str | None:
    """Return a word of the metadata: None where it did not come, which is something else than an empty one."""
    return (words[name] or "") if name in words else None


def _public_url(request: AnyRequest, engine: Engine, upload: Upload) -> str:
    """Return the URL that the file will be at once all its bytes are there."""
    return f"{base_url(request, engine)}{public_path(engine.tickets.public_token(upload), upload.name)}"
