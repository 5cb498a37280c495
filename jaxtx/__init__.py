"""The JAX engine: Flax NNX models, compiled training."""
