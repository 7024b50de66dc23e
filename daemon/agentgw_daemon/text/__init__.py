"""Text as it may be stored, sent and shown. Pure."""
