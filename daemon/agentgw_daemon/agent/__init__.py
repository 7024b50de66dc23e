"""A turn as an agent run: the model calls tools, the calls are carried out, until it answers."""
