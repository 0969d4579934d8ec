"""What a bot knows of its conversations besides their messages: people, groups, agreements, documents."""
