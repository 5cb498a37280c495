"""Reports: tables, figures and pages, each a pure function of records; `publish` alone writes them.

May import records and what is below them.
"""
