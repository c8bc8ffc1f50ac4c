"""What moving bytes takes beside requests: where they come from and go to, how they are cut, what proves them.

Nothing here sends or asks; the two faces do.
"""
