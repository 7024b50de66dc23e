"""Words to models: of tools, of how they are called, and of what calls gave."""
