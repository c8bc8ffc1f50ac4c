"""The page that a short URL is in a browser: a form for one file, which needs no script. Takes no bytes itself."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from html import escape

from litestar import Response

from fileferry.model import Upload, UploadState, format_time
from fileferry.web import problems
from fileferry.web.requests import AnyRequest

_STYLE = (
    "body{font:1.05rem/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1.2rem;color:#1c2024;"
    "background:#fcfcfd}h1{font-size:1.3rem;overflow-wrap:anywhere}form{border:1px solid #cdced6;border-radius:.6rem;"
    "padding:1.2rem;background:#fff}input,button{font:inherit;max-width:100%}button{margin-top:1rem;padding:.5rem 1.4rem;"
    "border:0;border-radius:.4rem;background:#0d74ce;color:#fff;cursor:pointer}.quiet{color:#60646c;font-size:.9rem}"
    "@media(prefers-color-scheme:dark){body{color:#edeef0;background:#111113}form{background:#18191b;border-color:#43484e}"
    ".quiet{color:#b0b4ba}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""What keeps the page from doing harm, and from being shown inside another one."""
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def is_wanted(request: AnyRequest) -> bool:
    """Whether a browser shows the answer to a person; pages' own scripts ask for anything, or for JSON."""
    return "text/html" in request.headers.get("accept", "")


def show(request: AnyRequest, upload: Upload, ends_at: datetime) -> Response[bytes]:
    """Answer what the URL is for: to a browser with the form, to others with how the bytes are sent."""
    if not is_wanted(request):
        text = f"{_told(upload)}\nSend the file here: curl -T FILE URL, or curl -F file=@FILE URL. Ends {format_time(ends_at)}.\n"
        return Response(text.encode(), status_code=200, media_type="text/plain", headers=HEADERS)
    if upload.state is not UploadState.OPEN:
        return thank(upload)
    form = (
        f"<h1>{_heading(upload)}</h1>"
        '<form method="post" enctype="multipart/form-data"><label for="file">Choose the file</label><br>'
        '<input type="file" id="file" name="file" required><br><button>Upload</button></form>'
        f'<p class="quiet">{escape(_told(upload))} This address works until {format_time(ends_at)}.</p>'
    )
    return _page("Upload a file", form)


def thank(upload: Upload) -> Response[bytes]:
    """Answer that the file is here."""
    return _page(
        "The file is here",
        f"<h1>The file is here</h1><p>{escape(upload.name)} was received. You can close this page.</p>",
    )


def explain(answer: Response[bytes], error: Exception) -> Response[bytes]:
    """Return an error's answer as a page, with its status and headers."""
    failure = problems.known(error)
    page = _page("This did not work", f"<h1>This did not work</h1><p>{escape(failure.detail)}</p>")
    return Response(
        page.content,
        status_code=answer.status_code,
        media_type=page.media_type,
        headers={
            **{name: value for name, value in answer.headers.items() if name.lower() != "content-type"},
            **HEADERS,
        },
    )


def _heading(upload: Upload) -> str:
    return f"Upload {escape(upload.name)}"


def _told(upload: Upload) -> str:
    size = f"Exactly {upload.size} bytes" if upload.size is not None else f"At most {_amount(upload.max_size)}"
    kept = f", kept as {upload.name}."
    return size + kept


def _amount(size: int) -> str:
    number, unit = float(size), 0
    while number >= 1024 and unit < len(_UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.4g} {_UNITS[unit]}"


def _page(title: str, body: str) -> Response[bytes]:
    document = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main>{body}</main></body></html>"
    )
    return Response(document.encode(), status_code=200, media_type="text/html", headers=HEADERS)
