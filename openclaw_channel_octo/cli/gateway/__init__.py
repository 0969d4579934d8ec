"""`openclaw-octo gateway`: look at an OpenClaw gateway, put the plugin into it, take it away."""
