"""Training: the contract between core and engine, the loop, batches and grids.

May import models and what is below them.
"""
