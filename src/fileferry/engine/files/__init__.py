"""What is kept: files, their versions, paths and ends, and every move from one state to another.

It knows nothing of how bytes come in or how they are judged.
"""
