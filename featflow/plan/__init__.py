"""What is to be done: paths, the lineage, stages and their slices. Nothing here imports torch."""
