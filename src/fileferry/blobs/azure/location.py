"""Where the container is, read from the setting: ``az://CONTAINER/PREFIX?account=NAME&endpoint=URL``. No I/O."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

from fileferry.blobs.azure.signing import Credentials, credentials_of
from fileferry.blobs.objects.addresses import endpoint_of, prefix_of, words_of

_CONTAINER = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(?:-[a-z0-9]+)*")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_WORDS = ("account", "endpoint", "public")


class Location(msgspec.Struct, frozen=True):
    """A container, and what all names in it begin with (empty, or ending in ``/``).

    ``origin`` is scheme and host of every request, ``root`` the path that the container has there: ``/CONTAINER/``, or with an
    emulator ``/ACCOUNT/CONTAINER/``. ``public`` is the same for clients up to the container, None where nobody has said
    that they reach it.
    """

    account: str
    container: str
    prefix: str
    origin: str
    root: str
    public: str | None

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return self.origin.partition(":")[0]


def parse(url: str, account: str | None = None, endpoint: str | None = None) -> Location:
    """Read the setting; ``account`` and ``endpoint`` are those of the environment. Raises ValueError with a sentence.

    Without an endpoint it is a container of Azure's own cloud. An endpoint is used as it is, with its path.
    """
    parts = urlsplit(url)
    if parts.scheme != "az" or parts.fragment or parts.username is not None:
        raise ValueError("use az://CONTAINER/PREFIX?account=NAME; keys do not belong into it")
    words = words_of(parts, _WORDS)
    if not _CONTAINER.fullmatch(parts.netloc):
        raise ValueError(f"{parts.netloc!r} is no name of a container")
    named = words.get("account") or account
    if not named:
        raise ValueError("say which account: account=NAME, or AZURE_STORAGE_ACCOUNT")
    if not _ACCOUNT.fullmatch(named):
        raise ValueError(f"{named!r} is no name of a storage account")
    of_azure = f"https://{named}.blob.core.windows.net"
    given = words.get("endpoint") or endpoint
    address = endpoint_of("endpoint", given or of_azure, with_path=True)
    # What clients can reach is not known of an address that may be one of this machine's own network.
    public = words.get("public") or (None if given and given.rstrip("/") != of_azure else of_azure)
    reached = None if public is None else endpoint_of("public", public, with_path=True)
    return Location(
        account=named,
        container=parts.netloc,
        prefix=prefix_of(parts.path),
        origin=f"{address.scheme}://{address.netloc}",
        root=f"{address.path.rstrip('/')}/{parts.netloc}/",
        public=None if reached is None else f"{reached.scheme}://{reached.netloc}{reached.path.rstrip('/')}",
    )


def resolve(
    url: str, *, account: str | None, key: str | None, sas: str | None, connection: str | None
) -> tuple[Location, Credentials]:
    """Read the setting together with what opens the account: its key, else a SAS token, else a connection string of both.

    Raises ValueError with a sentence.
    """
    if key or sas or not connection:
        location = parse(url, account)
        if not key and not sas:
            raise ValueError(f"a container of {location.account} needs AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN")
        return location, credentials_of(location.account, key, sas)
    words = _words(connection)
    named = words.get("accountname")
    endpoint = words.get("blobendpoint")
    if endpoint is None and named is not None and "endpointsuffix" in words:
        endpoint = f"{words.get('defaultendpointsprotocol', 'https')}://{named}.blob.{words['endpointsuffix']}"
    location = parse(url, named or account, endpoint)
    if named not in (None, location.account):
        raise ValueError("the connection string is of another account")
    key, sas = words.get("accountkey"), words.get("sharedaccesssignature")
    if not key and not sas:
        raise ValueError("the connection string has neither AccountKey nor SharedAccessSignature")
    return location, credentials_of(location.account, key, sas)


def _words(connection: str) -> dict[str, str]:
    """Read a connection string: ``AccountName=…;AccountKey=…`` ("Configure Azure Storage connection strings")."""
    fields = [field.partition("=") for field in connection.strip().split(";") if field]
    if not all(separator for _name, separator, _value in fields):
        raise ValueError("a connection string is of NAME=VALUE, with ';' between them")
    return {name.strip().lower(): value.strip() for name, _separator, value in fields}
