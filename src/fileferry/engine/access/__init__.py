"""Who may do what, and how much: keys, organizations, workspaces, signed links, limits, quotas and rates.

It judges and counts; it never touches a byte, a file or an upload of anyone.
"""
