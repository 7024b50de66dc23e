"""Documents, their chunks and vectors."""
