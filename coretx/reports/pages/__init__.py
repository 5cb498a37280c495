"""Pages: HTML from records and rows of tables.

May import tables and figures.
"""
