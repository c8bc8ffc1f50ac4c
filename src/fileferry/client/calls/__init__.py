"""The requests that a client makes, each as a value: what to send, how to read the answer. A module for each noun.

Nothing here opens a connection.
"""
