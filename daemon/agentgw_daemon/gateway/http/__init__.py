"""HTTP/1.1 itself: messages, a connection, event streams, and what goes wrong as answers."""
