"""featflow beside its peers and the hardware's limits: `make bench`."""
