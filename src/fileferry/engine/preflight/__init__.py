"""The fifth room: whether a service that is to fetch a file by its public URL will be able to, asked before it tries.

What each service wants is data, a file for each in ``consumers``. Nothing is fetched here but our own public URLs.
"""
