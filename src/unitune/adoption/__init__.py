"""What a user gives to Keras, as the engine takes it: models, functions that build them, calls of `fit`."""
