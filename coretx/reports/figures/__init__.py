"""Figures: the matplotlib figures of the pages, their colours, and curves thinned to a few points.

May import evaluation and what is below it, and no table or page.
"""
