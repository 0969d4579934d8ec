"""The road's first room: the socket, what goes over it, and the supervisor that keeps it open."""
