"""Display: what a run says on a terminal while it goes on.

May import records and what is below them.
"""
