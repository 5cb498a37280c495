"""Tables: the CSV files, with one row schema a table.

May import records and what is below them, and no page.
"""
