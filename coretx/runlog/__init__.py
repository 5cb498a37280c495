"""Logs of a run: one protocol, and the places it can be written to."""
