"""Evaluation: scores, intervals, paired tests, ceilings, groups and lengths, all from logits and labels.

May import training and what is below it.
"""
