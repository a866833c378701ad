"""What every stage shares: the config, the paths, the lineage, artifacts and their provenance."""
