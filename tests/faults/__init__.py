"""Proofs that nothing acknowledged is lost and nothing half-written is served, whatever is done to a live server."""
