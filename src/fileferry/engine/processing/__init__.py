"""What happens between received and ready: bytes are verified once more, their type is judged, and they are scanned.

It finds out; the move that follows is made in ``files``.
"""
