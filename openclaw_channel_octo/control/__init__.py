"""The control socket of a running program: its server, its calls, its client."""
