"""What agents and operators do in the chat besides answering."""
