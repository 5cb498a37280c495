"""The speed benchmark: the engines against each other and against what else torch offers, on the same work."""
