"""Run logs: JSON lines and Weights & Biases, behind one protocol.

May import records and what is below them.
"""
