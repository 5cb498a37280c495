"""Records: what a run leaves on disk, how it is written, and how it is read again.

May import evaluation and what is below it.
"""
