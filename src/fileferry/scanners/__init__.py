"""Scanners for malware, behind one protocol."""
