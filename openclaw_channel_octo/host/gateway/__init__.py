"""A running OpenClaw gateway as the host: its WebSocket protocol, version 4 (openclaw-host §4)."""
