"""`python -m featflow`: what the rules call."""

from featflow.cli import main

main()
