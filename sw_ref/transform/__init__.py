"""Other forms of a linear layer, which lose less when they are quantized: functions in front of quantizers."""
