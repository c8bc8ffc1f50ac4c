"""Bytes on their way in: tickets, parts, blocks and streams, until all there is of an upload is durable and recorded.

What becomes of them then is decided in ``processing``, and kept in ``files``.
"""
