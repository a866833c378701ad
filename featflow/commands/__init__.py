"""What people type every day, beside Snakemake's targets: a file a command.

`EVERYDAY` in cli.py lists them. The files without a verb serve the others: terminal.py (colours,
sizes), workflow.py (what Snakemake says of a study), tree.py, disk.py and local.py (the parts of
`check`), planned.py (the jobs of a dry run), work.py, rates.py, estimates.py and schedule.py (the
parts of `plan`), causes.py (of `why`), integrity.py (of `verify`), origin.py (what made a file, and
what would make it now), folders.py, sizing.py, starters.py and insertion.py (the parts of `init`),
words.py and examples.py (the parts of the config reference).
"""
