"""What is on the page of a feature, computed for all features of a dictionary at once."""
