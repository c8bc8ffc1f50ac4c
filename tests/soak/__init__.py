"""The long forms of the proofs in ``faults``; run by `make soak`."""
