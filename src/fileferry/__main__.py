"""``python -m fileferry`` is the ``fileferry`` command."""

from __future__ import annotations

from fileferry.cli import main

main()
