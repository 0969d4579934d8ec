"""`openclaw-octo doctor`: why a bot is silent."""
