"""The command line: `openclaw-octo`."""

from openclaw_channel_octo.cli.app import main

__all__ = ["main"]
