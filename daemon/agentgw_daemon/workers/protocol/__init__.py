"""Messages and files shared by both ends of a worker's pipe."""
