"""The plugin that makes Octo a channel of an OpenClaw gateway: JavaScript in ``extension``, and how it gets there."""
