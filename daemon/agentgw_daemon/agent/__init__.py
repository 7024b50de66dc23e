"""A turn as an agent run: the model answers or calls tools, the calls are carried out, and again."""
