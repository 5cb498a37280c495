"""Running: from a configuration to cells that are planned, trained, stored, logged and reported.

May import everything but the commands (`cli`, `compare`, `api`).
"""
