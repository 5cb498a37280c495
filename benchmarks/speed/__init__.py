"""The speed benchmark: the JAX engine against eager torch, on the same work."""
