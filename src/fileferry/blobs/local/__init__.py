"""The blob store in a local folder: ``store`` keeps the contract, ``commits`` makes blobs durable, ``disk`` asks the filesystem."""

from __future__ import annotations

from fileferry.blobs.local.store import LocalStore

__all__ = ["LocalStore"]
