"""What an engine computes and in which order: its description as plain data, its schedule, beats and results."""
