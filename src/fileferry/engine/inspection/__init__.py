"""What bytes tell of themselves: their digests, and which kind of file they are. Nothing here keeps a state, reads a
store or knows whose bytes they are.
"""
