"""The contract: values, methods, notifications and errors, and their JSON Schema. Does no I/O."""
