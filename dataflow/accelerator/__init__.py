"""An engine behind a memory bus: what reads its operands, writes its results, and is told to by descriptors."""
