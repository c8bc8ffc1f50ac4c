"""Bytes: the BlobStore interface and its engines. A store keeps and returns bytes under keys; it knows nothing of files."""
