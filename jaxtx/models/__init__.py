"""The models in Flax NNX: the file, class and attribute names of `torchtx.models`."""
