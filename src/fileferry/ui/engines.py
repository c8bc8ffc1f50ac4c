"""Which engine a request for a page is for: pages are one application, for all that one process may run."""

from __future__ import annotations

from typing import Any

from fileferry.engine.engine import Engine
from fileferry.web.requests import AnyRequest

ENGINE = "fileferry.engine"
"""Under what name a request carries the engine of the application that it came to."""


def engine_of(request: AnyRequest) -> Engine:
    """Return the engine of the application that a request came to."""
    scope: Any = request.scope
    engine: Engine = scope[ENGINE] if ENGINE in scope else scope["litestar_app"].state.engine
    return engine
