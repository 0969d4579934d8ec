"""What the pages on this machine share."""
