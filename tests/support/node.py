"""What tests run with Node.js: a client's script beneath tests/node, and Azurite to compare with. Knows no protocol of ours."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient, CorsRule, generate_blob_sas, generate_container_sas

from fileferry.blobs import azure
from fileferry.blobs.azure import AzureStore
from fileferry.blobs.azure.objects import Objects
from fileferry.blobs.objects.requests import Pause

FOLDER = Path(__file__).parents[1] / "node"
PACKAGES = FOLDER / "node_modules"
"""The packages that scripts/services.sh installs; a page may load the bundles in it."""

# What docs/stores.md tells a user to set.
_FOR_PAGES = CorsRule(
    ["*"], ["GET", "HEAD", "PUT"], allowed_headers=["*"], exposed_headers=["*"], max_age_in_seconds=600
)
START_SECONDS = 90.0
STOP_SECONDS = 90.0


def run_node(
    script: str, *args: str | Path, env: Mapping[str, str] | None = None, seconds: float = 120
) -> dict[str, Any]:
    """Run ``tests/node/{script}`` and return the JSON object that is its whole output.

    ``env`` is added to the caller's environment. Raises RuntimeError with what the script wrote when it fails, takes
    longer than ``seconds``, or writes anything that is not JSON.
    """
    command = ["node", str(FOLDER / script), *map(str, args)]
    try:
        ran = subprocess.run(
            command,
            env=os.environ | (env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as expired:
        written = (expired.stderr or b"").decode(errors="replace")
        raise RuntimeError(f"{script} took longer than {seconds:g} s.\n{written}") from None
    if ran.returncode != 0:
        raise RuntimeError(f"{script} ended with {ran.returncode}.\n{ran.stdout}{ran.stderr}")
    try:
        answer: dict[str, Any] = json.loads(ran.stdout)
    except ValueError:
        raise RuntimeError(f"{script} wrote no JSON.\n{ran.stdout}{ran.stderr}") from None
    return answer


class Azurite:
    """Azure's own emulator of its blob service on a port of its own, kept in memory: ``with Azurite() as azurite``."""

    ACCOUNT = "devstoreaccount1"
    # Not a secret: every Azurite has this account, and its documentation prints the key.
    KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    CONTAINER = "files"
    name = "azurite"

    def __init__(self) -> None:
        # Bound but never listening: Linux lets Azurite listen on the same port, and gives the port to nobody else.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self._port: int = self._reservation.getsockname()[1]
        self._folder = tempfile.TemporaryDirectory(prefix="azurite-")
        self.url = self.endpoint = f"http://127.0.0.1:{self._port}/{self.ACCOUNT}"

    def __enter__(self) -> Self:
        """Start the emulator and return once its container is there; raise RuntimeError when that fails."""
        command = [str(PACKAGES / ".bin" / "azurite-blob"), "--blobPort", str(self._port)]
        command += ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder.name, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._make_container()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the emulator; everything it held is gone."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._reservation.close()
            self._folder.cleanup()

    def location(self, prefix: str | None = None, *, is_public: bool = False) -> str:
        """Return the value of FILEFERRY_STORE for a prefix, by default one that nothing else uses; see ObjectStore."""
        public = f"&public={self.url}" if is_public else ""
        place = f"{self.CONTAINER}/{prefix or uuid.uuid4()}"
        return f"az://{place}?account={self.ACCOUNT}&endpoint={self.url}{public}"

    def settings(self, prefix: str | None = None, *, is_public: bool = False) -> dict[str, str]:
        """Return the settings of a server that keeps its blobs there."""
        return {"store": self.location(prefix, is_public=is_public), "azure_key": self.KEY}

    def token(self) -> str:
        """Return a SAS token of the container, good for an hour."""
        signed: str = generate_container_sas(
            self.ACCOUNT,
            self.CONTAINER,
            account_key=self.KEY,
            permission="racwdl",
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        return signed

    def open(
        self,
        location: str,
        *,
        secret: str | None = None,
        token: str | None = None,
        pause: Pause = asyncio.sleep,
        **limits: Any,
    ) -> tuple[AzureStore, Objects]:
        """Return the store at a location, opened by a SAS ``token`` where one is given, and the objects that it is made of."""
        key = None if token else secret or self.KEY
        where, credentials = azure.resolve(location, account=None, key=key, sas=token, connection=None)
        client = azure.Client(where, credentials, pause=pause)
        return AzureStore(client, where.prefix, **limits), Objects(client, where.prefix)

    def sas_url(self, blob: str, permission: str = "racwd") -> str:
        """Return a signed URL of ``blob``, which need not exist, that allows for an hour what ``permission`` lists."""
        signed = generate_blob_sas(
            self.ACCOUNT,
            self.CONTAINER,
            blob,
            account_key=self.KEY,
            permission=permission,
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        return f"{self.url}/{self.CONTAINER}/{quote(blob)}?{signed}"

    @property
    def _log(self) -> Path:
        return Path(self._folder.name) / "azurite.log"

    def _make_container(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        with BlobServiceClient(self.url, credential=self.KEY, retry_total=0, connection_timeout=2) as service:
            while self._process.poll() is None and time.monotonic() < deadline:
                try:
                    service.create_container(self.CONTAINER)
                    service.set_service_properties(cors=[_FOR_PAGES])
                    return
                except AzureError:
                    time.sleep(0.05)
        raise RuntimeError(f"Azurite did not start.\n{self._log.read_text(errors='replace')}")
