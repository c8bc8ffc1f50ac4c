"""The web framework as it is used here: without its support of other libraries, which nothing here uses."""

from __future__ import annotations

from typing import Any

from litestar import Litestar
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin

from fileferry.absent import absent


class Framework(Litestar):
    """Litestar, which would load Pydantic and attrs where they are installed: 6 MiB, and a sixth of the time to start.

    Where Starlette is, as it is with the SDK of MCP, it would load that too, and answer its errors, which nothing here raises.
    """

    def __init__(self, **options: Any) -> None:
        given = dict(options["exception_handlers"])
        with absent("starlette"):
            super().__init__(**options)
        self.exception_handlers = given  # another library may have loaded it before

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]
