"""What every circuit is made of: units, numbers that lose no bit, register stages, delays, memories."""
