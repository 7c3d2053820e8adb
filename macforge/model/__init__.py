"""Layers out of model files, as others have quantized them."""
