"""Life of the daemon from exec to serving: options, lock, socket, and the name that leads to it."""
