"""Applications that share their routes: the framework takes longer to register those than most tests take."""

from __future__ import annotations

import copy
import warnings
from typing import Any

from litestar import Litestar
from litestar.datastructures import State
from litestar.events import SimpleEventEmitter

from fileferry.web.framework import Framework

_registered: dict[tuple[int, ...], tuple[list[Any], Litestar]] = {}


def routed(state: State, **options: Any) -> Litestar:
    """Return the application of these options: a copy of one with the same routes, with this state and a lifespan of its own."""
    routes = tuple(map(id, options["route_handlers"]))
    if routes not in _registered:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            _registered[routes] = options["route_handlers"], Framework(**options)
    application = copy.copy(_registered[routes][1])
    application.state = state
    application.event_emitter = SimpleEventEmitter(listeners=[])
    application._lifespan_managers = options["lifespan"]
    application.asgi_router = copy.copy(application.asgi_router)
    application.asgi_router.app = application
    return application
