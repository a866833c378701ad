"""Files of a study: written whole, read back checked, with their provenance and digests."""
