"""From correlations to findings: the flow of features."""
