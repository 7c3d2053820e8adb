"""Number formats: what codes stand for."""
