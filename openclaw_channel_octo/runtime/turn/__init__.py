"""One message to its visible end: lane, guard, run, answer."""
