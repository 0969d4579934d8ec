"""The playground: a bot, its agent and its chat in one process, to be played with on a page."""
