"""From a design and its weights to a `Program`, and from a program and activations to what an engine is given."""
