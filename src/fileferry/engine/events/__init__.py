"""What is told: the outbox of events, read by waiters and listeners, and webhooks. It tells what happened, and never makes it
happen: events are written where states are moved, in ``files``.
"""
