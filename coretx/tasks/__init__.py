"""Tasks: the questions, the draw of rows, and their division into splits that share no problem.

May import config, seeds and errors alone.
"""
