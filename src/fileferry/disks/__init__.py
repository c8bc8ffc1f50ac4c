"""What the server knows of the disks under its folders: their kinds, what they can do, and room that is kept spare.

Nothing here knows of blobs or tables.
"""
