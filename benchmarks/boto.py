"""boto3's own multipart upload of a file: what sending through a server into the same store is measured beside.

Run as a module it sends one file and prints what it took, so that it has a process of its own. The key and its secret come in the
environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import msgspec
from botocore.config import Config  # type: ignore[import-untyped]

from benchmarks.presigner import peak_memory

_BUCKET = "tests"


class Sent(msgspec.Struct, frozen=True):
    """What one upload took; ``grown`` is how many bytes of memory more than before."""

    seconds: float
    cpu_seconds: float
    grown: int


def measure(store: Any, payload: Path, name: str) -> Sent:
    """Send a file to a store of the tests, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.boto", store.endpoint, str(payload), name]
    keys = {"AWS_ACCESS_KEY_ID": store.key_id, "AWS_SECRET_ACCESS_KEY": store.secret}
    ran = subprocess.run(command, check=True, capture_output=True, env=os.environ | keys)
    return msgspec.json.decode(ran.stdout, type=Sent)


def _send(endpoint: str, payload: str, name: str) -> Sent:
    # With its defaults: parts of 8 MiB, ten at once.
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    client = boto3.client("s3", region_name="us-east-1", endpoint_url=endpoint, config=config)
    client.list_buckets()  # the first call loads what all others use
    at_rest, cpu_before, started = peak_memory(), time.process_time(), time.perf_counter()
    client.upload_file(payload, _BUCKET, f"boto3/{name}")
    return Sent(time.perf_counter() - started, time.process_time() - cpu_before, peak_memory() - at_rest)


if __name__ == "__main__":
    print(msgspec.json.encode(_send(*sys.argv[1:])).decode())
