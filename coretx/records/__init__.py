"""Records: the results of a run, how they are written to disk, and how they are read again.

May import evaluation and the layers below it.
"""
