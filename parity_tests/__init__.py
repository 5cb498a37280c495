"""Proof that the two engines do the same thing, step by step: a suite, and a command for models of one's own."""
