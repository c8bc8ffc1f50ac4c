"""Tools for agents by the Model Context Protocol. Translates only: each tool is requests of the native API, with the agent's key.

So scopes, confinement, limits and rates hold as they do for everybody, and no byte of a large file passes here: agents get short
URLs for it. The SDK is an extra, and is loaded with the first request.
"""
