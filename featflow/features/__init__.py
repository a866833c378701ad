"""Sparse feature activations on the probe, and what correlates with what."""
