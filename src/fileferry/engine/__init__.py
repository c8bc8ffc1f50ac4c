"""The journey from ticket to deletion: the only code that decides, and the only code that changes state.

One room for each stretch of the way, and ``engine.py`` as the one door to them all.
"""
