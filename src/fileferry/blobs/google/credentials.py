"""What opens a bucket of Google: tokens by google-auth, fetched in a thread and in time, and the key that signs URLs.

Nothing of google-auth is loaded before it is needed: it is an extra.
"""

from __future__ import annotations

import asyncio
import os.path
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from fileferry.blobs.google.location import Location

if TYPE_CHECKING:
    from google.auth.credentials import Credentials as Found

_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)
_MISSING = "a bucket of Google needs a library: pip install 'fileferry[gcs]'"
_log = structlog.get_logger(__name__)


class TokenRefused(Exception):
    """Google gives no token for these credentials; asking again changes nothing. Its text says why."""


class Credentials:
    """Tokens for requests, and ``sign`` for URLs. ``find`` returns whose they are, in a thread; without it they are nobody's.

    ``account`` is whose key signs URLs, by ``signature``; None where there is no key, as of an identity of the machine.
    """

    def __init__(
        self,
        find: Callable[[], Found] | None = None,
        account: str | None = None,
        signature: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.account = account
        self._find = find
        self._found: Found | None = None
        self._signature = signature
        self._renewing = asyncio.Lock()

    def __repr__(self) -> str:
        return f"Credentials({self.account!r})"

    def sign(self, text: bytes) -> bytes:
        """Return the RSA signature (PKCS #1 v1.5, SHA-256) of a text by the account's key."""
        assert self._signature is not None
        return self._signature(text)

    async def authorization(self, refused: str | None = None) -> dict[str, str]:
        """Return the header of a request, with a token that does not end within minutes; none of nobody's.

        A token that the store has ``refused``, the value of that header, is renewed. Raises TokenRefused, and OSError where nobody
        can be asked.
        """
        if self._find is None:
            return {}
        if not self._is_fresh(refused):
            # Who waits for another that renews it has the new one then.
            async with self._renewing:
                if not self._is_fresh(refused):
                    await self._renew(refused)
        assert self._found is not None
        return {"authorization": f"Bearer {self._found.token}"}

    def _is_fresh(self, refused: str | None) -> bool:
        from google.auth.credentials import TokenState

        found = self._found
        return found is not None and found.token_state is TokenState.FRESH and refused != f"Bearer {found.token}"

    async def _renew(self, refused: str | None) -> None:
        from google.auth.credentials import TokenState
        from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError

        try:
            await asyncio.to_thread(self._refresh)
        except (TransportError, OSError) as error:
            if refused is None and self._found is not None and self._found.token_state is TokenState.STALE:
                _log.warning("token_not_renewed", reason=_first_line(error))
                return
            raise OSError(f"no token can be fetched: {_first_line(error)}") from error
        except DefaultCredentialsError as error:
            raise TokenRefused("there are none: name a key's file in GOOGLE_APPLICATION_CREDENTIALS") from error
        except (GoogleAuthError, ValueError) as error:
            raise TokenRefused(_first_line(error)) from error

    def _refresh(self) -> None:
        from google.auth.transport.requests import Request

        assert self._find is not None
        if self._found is None:
            self._found = self._find()
        self._found.refresh(Request())  # type: ignore[no-untyped-call]


def resolve(location: Location, file: str | None) -> Credentials:
    """Return what opens a bucket: the ``file`` of a key or of another identity, else that of the machine; nobody at an endpoint.

    Nobody is asked yet. Raises ValueError with a sentence.
    """
    if not file and not location.is_of_google:
        return Credentials()
    try:
        from google.auth import default, load_credentials_from_file
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport import requests  # noqa: F401  it is looked for only when a token is fetched
        from google.oauth2.service_account import Credentials as OfKey
    except ImportError:
        raise ValueError(_MISSING) from None
    if not file:
        return Credentials(lambda: default(scopes=_SCOPES)[0])
    try:
        with warnings.catch_warnings():
            # It warns of files that come from strangers; this one the operator has named.
            warnings.simplefilter("ignore", DeprecationWarning)
            found: Found = load_credentials_from_file(file, scopes=_SCOPES)[0]  # type: ignore[no-untyped-call]
    except (GoogleAuthError, ValueError, OSError) as error:
        raise ValueError(f"the credentials in {os.path.basename(file)} cannot be used: {_first_line(error)}") from error
    # Others that can sign ask Google for each signature.
    account, signature = (found.signer_email, found.sign_bytes) if isinstance(found, OfKey) else (None, None)
    return Credentials(lambda: found, account, signature)


def _first_line(error: Exception) -> str:
    """Return the first line of an error, without what google-auth puts behind it: the whole answer."""
    said = str(error.args[0]) if error.args else type(error).__name__
    return said.strip().partition("\n")[0].rstrip(".")[:200]
