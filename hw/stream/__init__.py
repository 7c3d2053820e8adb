"""Units between streams."""
