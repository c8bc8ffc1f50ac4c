"""Where the bucket is, read from the setting: ``s3://BUCKET/PREFIX?endpoint=URL&region=NAME&style=path``. No I/O."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

from fileferry.blobs.objects.addresses import endpoint_of, prefix_of, words_of

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_STYLES = ("path", "virtual")
_WORDS = ("endpoint", "public", "region", "style")


class Location(msgspec.Struct, frozen=True):
    """A bucket, and what all keys in it begin with (empty, or ending in ``/``).

    ``origin`` is scheme and host of every request, ``root`` the path that the bucket has there: ``/BUCKET/`` in path style,
    ``/`` where the bucket is part of the host. ``public`` is the scheme and host by which clients reach the same bucket, None where
    nobody has said that they do.
    """

    bucket: str
    prefix: str
    region: str
    scheme: str
    host: str
    root: str
    public: str | None

    @property
    def origin(self) -> str:
        """The scheme and host of the store, for people."""
        return f"{self.scheme}://{self.host}"


def parse(url: str, region: str | None = None) -> Location:
    """Read the setting; ``region`` is that of the environment. Raises ValueError with a sentence for what cannot be used.

    Without an endpoint it is a bucket of AWS, in virtual-host style; with one, path style unless ``style=virtual`` says otherwise.
    """
    parts = urlsplit(url)
    if parts.scheme != "s3" or parts.fragment or parts.username is not None:
        raise ValueError("use s3://BUCKET/PREFIX?endpoint=URL&region=NAME; keys do not belong into it")
    words = words_of(parts, _WORDS)
    if not _BUCKET.fullmatch(parts.netloc):
        raise ValueError(f"{parts.netloc!r} is no name of a bucket")
    prefix = prefix_of(parts.path)
    region = words.get("region") or region or "us-east-1"
    of_aws = f"https://s3.{region}.amazonaws.com"
    endpoint = endpoint_of("endpoint", words.get("endpoint") or of_aws)
    # What clients can reach is not known of an address that may be one of this machine's own network.
    public = words.get("public") or (None if "endpoint" in words else of_aws)
    style = words.get("style") or ("path" if "endpoint" in words else "virtual")
    if style not in _STYLES:
        raise ValueError("style is path or virtual")
    is_virtual = style == "virtual"
    host_of = f"{parts.netloc}.{{}}" if is_virtual else "{}"
    reached = None if public is None else endpoint_of("public", public)
    return Location(
        bucket=parts.netloc,
        prefix=prefix,
        region=region,
        scheme=endpoint.scheme,
        host=host_of.format(endpoint.netloc),
        root="/" if is_virtual else f"/{parts.netloc}/",
        public=None if reached is None else f"{reached.scheme}://{host_of.format(reached.netloc)}",
    )
