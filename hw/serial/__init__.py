"""Serial lines: bits, frames, and a bridge from frames to a bus."""
