"""The drain edge as hardware; `sw_ref.drain` is its specification."""
