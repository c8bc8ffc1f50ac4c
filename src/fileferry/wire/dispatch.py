"""The signed upload URL: one address, told apart by headers and query which protocol is spoken on it. Most specific first."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

from litestar import HttpMethod, Response, Router, route

from fileferry import telemetry
from fileferry.engine.access import links
from fileferry.engine.access.links import Grant
from fileferry.engine.engine import Engine
from fileferry.errors import FileTooLarge, LinkRefused
from fileferry.model import Upload
from fileferry.web import cors
from fileferry.web.express import EXPRESS
from fileferry.web.requests import AnyRequest
from fileferry.web.standing import begin_standing
from fileferry.wire import azure, forms, gcs, plain, rufh, s3, tus


class WireProtocol(Protocol):
    """What a module of this package is to the signed URL."""

    def is_spoken(self, request: AnyRequest, /) -> bool:
        """Whether a request that no protocol before this one knew is of this one."""

    async def handle(self, request: AnyRequest, engine: Engine, upload: Upload, /) -> Response[Any]:
        """Answer a request whose signature was verified; raises FerryError."""

    def render_error(self, request: AnyRequest, error: Exception, /) -> Response[bytes]:
        """Answer with the error in the form that the protocol's clients parse, a bad signature's included."""


# The first that knows a request answers it; the last knows every one.
PROTOCOLS: tuple[WireProtocol, ...] = (forms, azure, tus, rufh, s3, gcs, plain)
_NAMES: dict[WireProtocol, str] = {
    forms: "form",
    azure: "azure",
    tus: "tus",
    rufh: "resumable_http",
    s3: "s3_parts",
    gcs: "google",
    plain: "one_request",
}
_BRINGING = ("PUT", "POST", "PATCH")
METHODS = [HttpMethod.GET, HttpMethod.HEAD, HttpMethod.PUT, HttpMethod.POST, HttpMethod.PATCH, HttpMethod.DELETE]


@route("/u/{upload_id:str}/{name:path}", http_method=METHODS, opt=EXPRESS)
async def upload(request: AnyRequest, engine: Engine, upload_id: str) -> Response[Any]:
    """Take the bytes of an upload at its signed URL, by whichever upload protocol the client speaks."""
    return await take(
        request, engine, *await engine.tickets.at(upload_id, links.words(request.query_params.multi_items()))
    )


async def take(request: AnyRequest, engine: Engine, found: Upload, grant: Grant) -> Response[Any]:
    """Answer a request for an upload whose URL has granted it."""
    protocol = _protocol(request)
    telemetry.tell(
        upload=found.id,
        file=found.file_id,
        key=found.key_id,
        organization=found.organization_id,
        end_user=found.end_user,
        protocol=_NAMES[protocol],
        direction="upload" if request.method in _BRINGING else None,
    )
    if grant.is_part and (protocol is not s3 or request.method != "PUT"):
        raise LinkRefused()
    request.state.grant = grant  # by what right the URL of a session is, that it is exchanged for
    begin_standing(request, partial(engine.tickets.refuse_lapsed, found.id, grant.right), engine.clock)
    payer = await engine.rates.payer(found)
    if request.method == "HEAD":
        # A client that is refused how far it is takes the upload for gone, and sends everything again.
        await engine.rates.count_request(payer)
    else:
        await engine.rates.spend_request(payer)
    try:
        answer = await protocol.handle(request, engine, found)
    except FileTooLarge as error:
        await engine.tickets.refuse_too_long(found, error)
        raise
    answer.headers.update(cors.ANY_ORIGIN)
    return answer


@route("/u/{upload_id:str}/{name:path}", http_method=[HttpMethod.OPTIONS])
async def preflight(request: AnyRequest, engine: Engine, upload_id: str) -> Response[bytes]:
    """Tell what of tus is spoken, and what a page of any origin may send here; needs no signature, as a browser sends none."""
    return answer_preflight(request, engine)


def answer_preflight(request: AnyRequest, engine: Engine) -> Response[bytes]:
    """Answer OPTIONS at any URL that takes bytes."""
    told = {**tus.discovery(engine), **rufh.limits_of_server(engine)}
    return Response(b"", status_code=200, headers={**cors.preflight(request), **told})


def render_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer with an error as the protocol tells it that the request is of."""
    answer = _protocol(request).render_error(request, error)
    answer.headers.update(cors.ANY_ORIGIN)
    return answer


# Preflight comes first, or the framework answers OPTIONS by itself.
router = Router("/", route_handlers=[preflight, upload], exception_handlers={Exception: render_error})


def is_question(request: AnyRequest) -> bool:
    """Whether a request only asks for what is at its URL, as browsers and curl do, in no upload protocol."""
    return request.method == "GET" and _protocol(request) is plain


def _protocol(request: AnyRequest) -> WireProtocol:
    return next(protocol for protocol in PROTOCOLS if protocol.is_spoken(request))
