"""PURE. Sessions: their keys, their statuses, and the guard that decides what a new message may do."""
