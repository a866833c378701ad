"""SAE architectures, one file a kind."""
