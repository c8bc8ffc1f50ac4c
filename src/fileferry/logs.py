"""The library that writes logs, loaded in one place. What is written, and how, is for ``telemetry`` to say."""

from __future__ import annotations

from fileferry.absent import absent

with absent("rich"):  # it would draw tracebacks, which are text here before they come to it; it takes 5 MiB and 0.07 s
    import structlog

__all__ = ["get_logger", "structlog"]

get_logger = structlog.get_logger
