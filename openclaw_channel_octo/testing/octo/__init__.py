"""A stand-in for an Octo server: its sockets, its bot API, and people who write there."""
