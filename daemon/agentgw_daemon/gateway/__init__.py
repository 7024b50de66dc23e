"""HTTP: doors beside the socket, whose routes are adapters over the calls that the socket has."""
