"""What ``connections`` builds on: fields after a chunked body are no headers, whatever they are called (RFC 9110 section 6.5.1).

Nothing here has a use for them, so they are dropped. httptools tells of them as of headers, and uvicorn would add them to those.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class TrailersDropped(HttpToolsProtocol):
    """Takes headers only before the body begins."""

    _has_headers = False

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._has_headers = False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; drop a trailer."""
        if not self._has_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the headers."""
        self._has_headers = True
        super().on_headers_complete()
