"""The host this package brings: sessions in a file, agents as a command, an endpoint or an echo."""
