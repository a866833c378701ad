"""Corpora to documents to tokens."""
