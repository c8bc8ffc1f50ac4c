"""A small OpenID provider, oidc-provider-mock, in a thread of the test's process. It keeps what its token endpoint was sent."""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

import httpx


class OpenIdProvider:
    """Signs anybody in who is named, and says of them what it was told at the start."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.exchanged: list[dict[str, str]] = []

    def sign_in(self, url: str, subject: str) -> str:
        """Do what a browser does at the provider; return where that sends it back to."""
        answer = httpx.post(url, data={"sub": subject}, trust_env=False)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]


@contextlib.contextmanager
def running(people: Mapping[str, Mapping[str, Any]]) -> Iterator[OpenIdProvider]:
    """Run a provider that knows these people by subject, with their claims."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Authlib says of its next release
        import flask
        import oidc_provider_mock
        from werkzeug.serving import make_server

        application = flask.Flask("openid")
        users = [oidc_provider_mock.User(sub=subject, claims=dict(claims)) for subject, claims in people.items()]
        oidc_provider_mock.init_app(application, user_claims=users)
    application.debug = False
    server = make_server("127.0.0.1", 0, application, threaded=True)
    provider = OpenIdProvider(f"http://127.0.0.1:{server.server_port}")
    inner = server.app

    def recorded(environ: Any, start: Any) -> Any:
        if environ["PATH_INFO"] == "/oauth2/token":
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = io.BytesIO(body)
            provider.exchanged.append({name: values[0] for name, values in parse_qs(body.decode()).items()})
        return inner(environ, start)

    server.app = recorded
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
