"""Detection: a document's format, and what is in it that says nothing to anybody."""
