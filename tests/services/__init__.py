"""Tests of what speaks to other services, with those services."""
