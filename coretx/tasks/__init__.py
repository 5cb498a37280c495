"""Tasks: what is asked, how rows are drawn, and how they are divided into splits that share no problem.

May import config, seeds and errors alone.
"""
