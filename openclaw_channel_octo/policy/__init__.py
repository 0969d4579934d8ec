"""PURE. Who is answered: the gate between received messages and agent turns."""
