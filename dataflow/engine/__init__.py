"""Engines: an array with control, panel and streams, for products of any size."""
