"""Sessions: listed, shown, repaired."""
