"""fileferry hands files to other systems by URL: the public names of the Python client live here; the server does not."""
