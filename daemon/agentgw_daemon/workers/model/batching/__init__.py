"""Which sequences compute in the next batch."""
