"""boto3's presigned URLs, signed in memory by one thread: what issuing tickets is measured beside. Talks to no server.

Run as a module it signs for the given number of seconds and prints what it saw, so that it has a process of its own.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import time
from pathlib import Path

import boto3  # type: ignore[import-untyped]
import msgspec
from botocore.config import Config  # type: ignore[import-untyped]

NAME = "boto3"
SETUP = (
    "`generate_presigned_url('put_object')`, Signature Version 4, one process, in memory: "
    "no request, no authentication, no database"
)


class Signed(msgspec.Struct, frozen=True):
    """How many URLs were signed in ``seconds``; ``peak_memory`` is in bytes."""

    urls: int
    seconds: float
    cpu_seconds: float
    peak_memory: int


def version() -> str:
    """Return the installed version of boto3."""
    return importlib.metadata.version("boto3")


def measure(seconds: float) -> Signed:
    """Sign in a process of its own for ``seconds``."""
    command = [sys.executable, "-m", "benchmarks.presigner", str(seconds)]
    return msgspec.json.decode(subprocess.run(command, check=True, capture_output=True).stdout, type=Signed)


def _sign(seconds: float) -> Signed:
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(signature_version="s3v4"),
    )
    # The first call loads what all others use.
    client.generate_presigned_url("put_object", Params={"Bucket": "bucket", "Key": "report.bin"})
    cpu_before, started, elapsed, urls = time.process_time(), time.perf_counter(), 0.0, 0
    while elapsed < seconds:
        client.generate_presigned_url("put_object", Params={"Bucket": "bucket", "Key": f"report-{urls}.bin"})
        urls += 1
        elapsed = time.perf_counter() - started
    return Signed(urls, elapsed, time.process_time() - cpu_before, peak_memory())


def peak_memory() -> int:
    """Return the most bytes that this process has had resident."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    print(msgspec.json.encode(_sign(float(sys.argv[1]))).decode())
