"""What tests share: the live server, and what becomes of skips."""
