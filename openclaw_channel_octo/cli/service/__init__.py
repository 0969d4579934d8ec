"""`openclaw-octo service`: the bots as a service of the machine, by systemd or launchd."""
