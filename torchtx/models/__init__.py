"""The reference models in PyTorch: the file, class and attribute names of `jaxtx.models`."""
