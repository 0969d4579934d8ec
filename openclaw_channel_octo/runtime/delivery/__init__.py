"""What leaves the bot: messages of answers, files, read receipts and typing indicators."""
