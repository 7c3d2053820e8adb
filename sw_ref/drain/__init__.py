"""The drain edge: from the sums of an array to results."""
