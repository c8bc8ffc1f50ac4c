"""The client of asyncio programs, and the source of the other one: ``blocking`` is generated from this package.

What requests say and how bytes are cut and proved is in ``calls`` and ``transfers``; here they are sent and waited for.
"""
