"""The journey from ticket to deletion: the only code that decides, and the only code that changes state."""
