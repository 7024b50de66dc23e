"""From a request to a method of the socket and its parameters."""
