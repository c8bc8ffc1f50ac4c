"""`make bench`: fileferry beside other servers, in one run and under one load. Not a test: no number makes it fail."""
