"""Commands for bots that run, or whose journal is at hand: status, journal, message, pairing."""
