"""Models as data: specs, architectures, recipes and initial weights, without an engine.

May import tasks and what is below them.
"""
