"""Where the bucket is, read from the setting: ``gs://BUCKET/PREFIX?endpoint=URL``. No I/O."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

from fileferry.blobs.objects.addresses import endpoint_of, prefix_of, words_of

OF_GOOGLE = "https://storage.googleapis.com"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_WORDS = ("endpoint", "public")


class Location(msgspec.Struct, frozen=True):
    """A bucket, and what all names in it begin with (empty, or ending in ``/``).

    ``origin`` is scheme and host of every request; ``public`` is the same for clients, None where nobody has said that they
    reach it.
    """

    bucket: str
    prefix: str
    origin: str
    public: str | None

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return self.origin.partition(":")[0]

    @property
    def is_of_google(self) -> bool:
        """Whether Google itself answers there, and not an emulator or a host of the installation's own."""
        return self.origin == OF_GOOGLE


def parse(url: str) -> Location:
    """Read the setting. Raises ValueError with a sentence for what cannot be used."""
    parts = urlsplit(url)
    if parts.scheme != "gs" or parts.fragment or parts.username is not None:
        raise ValueError("use gs://BUCKET/PREFIX; keys do not belong into it")
    words = words_of(parts, _WORDS)
    if not _BUCKET.fullmatch(parts.netloc):
        raise ValueError(f"{parts.netloc!r} is no name of a bucket")
    endpoint = endpoint_of("endpoint", words.get("endpoint") or OF_GOOGLE)
    origin = f"{endpoint.scheme}://{endpoint.netloc}"
    # What clients can reach is not known of an address that may be one of this machine's own network.
    public = words.get("public") or (OF_GOOGLE if origin == OF_GOOGLE else None)
    reached = None if public is None else endpoint_of("public", public)
    return Location(
        bucket=parts.netloc,
        prefix=prefix_of(parts.path),
        origin=origin,
        public=None if reached is None else f"{reached.scheme}://{reached.netloc}",
    )
