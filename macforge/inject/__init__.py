"""Single bits of an accelerator that flip while it works: which, when, and what becomes of its results."""
