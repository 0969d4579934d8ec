"""Messages that address the bot and get no turn: refusals, limits, pairing, and the notices that say so."""
