"""Figures: matplotlib figures and small shapes in SVG.

May import evaluation and what is below it, and no table or page.
"""
