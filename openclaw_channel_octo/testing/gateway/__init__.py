"""A stand-in for an OpenClaw gateway."""
