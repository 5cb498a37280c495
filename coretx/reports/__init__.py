"""Reports: pages, figures and tables, each a pure function of result records."""
