"""fileferry hands files to other systems by URL: the public names of the Python client live here; the server does not.

The client is loaded when one of its names is first asked for, so that the server does not pay for an HTTP client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fileferry.errors import (
    AlreadyUploaded,
    BadRequest,
    Conflict,
    ConflictingCredentials,
    DigestMismatch,
    FerryError,
    FileTooLarge,
    Forbidden,
    Gone,
    IdempotencyMismatch,
    InsufficientStorage,
    InternalError,
    InvalidDigest,
    InvalidExpiry,
    InvalidMetadata,
    InvalidName,
    InvalidParameter,
    InvalidPart,
    LengthRequired,
    LinkRefused,
    MethodNotAllowed,
    MissingFile,
    NotFound,
    NotReady,
    NotUploaded,
    PreconditionFailed,
    ProtocolUnknown,
    RangeNotSatisfiable,
    RateLimited,
    RequestTimeout,
    Retry,
    SizeMismatch,
    TooManyFiles,
    TruncatedBody,
    Unauthorized,
    Unavailable,
    UnsupportedType,
)

if TYPE_CHECKING:
    from fileferry.client import (
        UNCHANGED,
        ApiKey,
        AsyncClient,
        Client,
        ConnectionFailed,
        File,
        Folder,
        NotConfigured,
        Organization,
        RetryPolicy,
        SourceChanged,
        TimedOut,
        UnexpectedAnswer,
    )

__all__ = [
    "UNCHANGED",
    "AlreadyUploaded",
    "ApiKey",
    "AsyncClient",
    "BadRequest",
    "Client",
    "Conflict",
    "ConflictingCredentials",
    "ConnectionFailed",
    "DigestMismatch",
    "FerryError",
    "File",
    "FileTooLarge",
    "Folder",
    "Forbidden",
    "Gone",
    "IdempotencyMismatch",
    "InsufficientStorage",
    "InternalError",
    "InvalidDigest",
    "InvalidExpiry",
    "InvalidMetadata",
    "InvalidName",
    "InvalidParameter",
    "InvalidPart",
    "LengthRequired",
    "LinkRefused",
    "MethodNotAllowed",
    "MissingFile",
    "NotConfigured",
    "NotFound",
    "NotReady",
    "NotUploaded",
    "Organization",
    "PreconditionFailed",
    "ProtocolUnknown",
    "RangeNotSatisfiable",
    "RateLimited",
    "RequestTimeout",
    "Retry",
    "RetryPolicy",
    "SizeMismatch",
    "SourceChanged",
    "TimedOut",
    "TooManyFiles",
    "TruncatedBody",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "UnsupportedType",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'fileferry' has no attribute {name!r}")
    from fileferry import client

    return getattr(client, name)
