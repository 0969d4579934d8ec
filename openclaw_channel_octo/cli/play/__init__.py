"""A bot, its agent and its chat in one process, to be played with: ``playground`` and ``demo --interactive``."""
