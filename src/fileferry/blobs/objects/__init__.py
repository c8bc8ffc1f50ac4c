"""What stores of objects share, whatever they speak: ``store`` keeps the contract of every BlobStore by the ``verbs`` of one.

``pieces`` says which objects a blob is, ``writers`` writes objects of any length within the memory of ``budget``, ``requests``
sends, ``downloads`` finds what a client may fetch, ``probing`` tells what was tried.
"""
