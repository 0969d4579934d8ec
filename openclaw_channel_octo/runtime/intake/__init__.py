"""Received and missed messages: judged, recorded, in order, gaps filled from the history."""
