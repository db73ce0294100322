"""Members as `jax.vmap` of the step that Keras itself takes: for models that have no lift, on the JAX backend."""
