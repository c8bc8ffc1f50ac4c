"""HTTP flows: each translates its own requests to engine calls, and results and errors to its own shapes. None decides anything."""
