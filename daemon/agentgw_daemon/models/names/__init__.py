"""Names of models and of their files, pure."""
