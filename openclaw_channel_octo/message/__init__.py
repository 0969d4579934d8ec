"""PURE. What people write: payloads, mentions, text for the agent, and answers cut into messages."""
