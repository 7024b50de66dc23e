"""Events sent to other programs over HTTP: durable, signed, in order."""
