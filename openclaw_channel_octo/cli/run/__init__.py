"""The commands that run the bots, and what they start with."""
