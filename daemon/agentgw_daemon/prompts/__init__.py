"""What a model is shown of a session: assembled, fitted to the context, summarised."""
