"""Merge methods, one file a kind."""
