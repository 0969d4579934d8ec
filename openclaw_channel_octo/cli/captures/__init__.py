"""Captures of traffic: recorded, shown, replayed."""
