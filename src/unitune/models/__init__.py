"""From a configuration to a Keras model: the dense family, optimizers, schedules, initial weights, metrics."""
