"""The PyTorch engine: the reference."""
