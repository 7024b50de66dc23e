"""The socket: connections, dispatch of requests, replies."""
