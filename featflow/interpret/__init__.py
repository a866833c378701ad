"""Automatic interpretation: explanations of features, and how well they predict."""
