"""The dashboard at ``/ui/``: pages for people. It translates between forms and the engine, as the APIs do for programs.

Nothing of it is loaded before somebody asks for a page: see ``door``.
"""
