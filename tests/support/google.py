"""fake-gcs-server on a port of its own: what it does not do of Google's, see ``FakeGoogle``."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, Self

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fileferry.blobs import google
from fileferry.blobs.google.objects import Objects
from fileferry.blobs.objects.requests import Pause
from support.object_stores import START_SECONDS

ACCOUNT = "tests@project.iam.gserviceaccount.com"
PROGRAM = Path(__file__).parents[2] / ".services/stores/bin/fake-gcs-server"


class FakeGoogle:
    """``with FakeGoogle() as store``. It verifies no signature, no digest and no signed length.

    It answers a signed request in JSON, says no type or disposition that a URL was signed with, and composes to what was to be new.
    ``google_front`` does these things before it.
    """

    name = "gcs"
    BUCKET = "files"

    def __init__(self) -> None:
        # Bound but never listening: Linux lets the store listen on the same port, and gives the port to nobody else.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self._host = f"127.0.0.1:{self._reservation.getsockname()[1]}"
        self._folder = tempfile.TemporaryDirectory(prefix="fake-gcs-")
        self.endpoint = f"http://{self._host}"

    def __enter__(self) -> Self:
        """Start it and return once its bucket is there; raise RuntimeError with its log when that fails."""
        address, _, port = self._host.partition(":")
        command = [str(PROGRAM), "-scheme", "http", "-host", address, "-port", port, "-public-host", self._host]
        command += ["-external-url", self.endpoint, "-backend", "memory", "-log-level", "error"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=self._folder.name, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._makes_bucket():
                return self
            time.sleep(0.05)
        told = self._log.read_text(errors="replace")
        self.__exit__()
        raise RuntimeError(f"fake-gcs-server did not start.\n{told}")

    def __exit__(self, *_: object) -> None:
        """Stop it; everything it held is gone."""
        self._process.kill()
        self._process.wait()
        self._reservation.close()
        self._folder.cleanup()

    def location(self, prefix: str | None = None, *, is_public: bool = False) -> str:
        """Return the value of FILEFERRY_STORE for a prefix, by default one that nothing else uses; see ObjectStore."""
        public = f"&public={self.endpoint}" if is_public else ""
        return f"gs://{self.BUCKET}/{prefix or uuid.uuid4()}?endpoint={self.endpoint}{public}"

    def settings(self, prefix: str | None = None, *, is_public: bool = False) -> dict[str, str]:
        """Return the settings of a server that keeps its blobs there."""
        return {"store": self.location(prefix, is_public=is_public)}

    def open(
        self, location: str, *, secret: str | None = None, pause: Pause = asyncio.sleep, **limits: Any
    ) -> tuple[google.GoogleStore, Objects]:
        """Return the store at a location, opened by the key in the file ``secret`` or by nobody's, and its objects."""
        where = google.parse(location)
        client = google.Client(where, google.resolve(where, secret), pause=pause)
        return google.GoogleStore(client, where.prefix, **limits), Objects(client, where.prefix)

    @property
    def _log(self) -> Path:
        return Path(self._folder.name) / "log"

    def _makes_bucket(self) -> bool:
        try:
            url = f"{self.endpoint}/storage/v1/b?project=tests"
            return httpx.post(url, json={"name": self.BUCKET}, trust_env=False, timeout=5).status_code in (200, 409)
        except httpx.TransportError:
            return False


def service_account(file: Path, token_uri: str = "http://127.0.0.1:9/token") -> Path:
    """Write the key of a service account that nobody has, as Google hands it out; return the file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    told = {"type": "service_account", "client_email": ACCOUNT, "private_key_id": "1", "token_uri": token_uri}
    file.write_text(json.dumps({**told, "private_key": pem.decode(), "project_id": "project"}))
    return file
