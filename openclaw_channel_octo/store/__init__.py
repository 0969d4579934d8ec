"""What must survive the process: the journal of inbound messages, deliveries and announced episodes."""
