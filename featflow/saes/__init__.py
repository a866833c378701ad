"""Sparse autoencoders: their data, their training, their metrics, their format."""
