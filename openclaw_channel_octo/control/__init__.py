"""A running program seen from outside: the control socket with its calls and its client, the metrics port."""
