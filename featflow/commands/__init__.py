"""What people type every day, beside Snakemake's targets: a file a command.

`EVERYDAY` in cli.py lists them. The files without a verb serve the others: terminal.py (colours,
sizes), workflow.py (what Snakemake says of a study), tree.py, disk.py and local.py (the parts of
`check`), folders.py, sizing.py, starters.py and insertion.py (the parts of `init`), words.py and
examples.py (the parts of the config reference).
"""
