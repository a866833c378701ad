"""What a target that no rule makes may have been meant to be.

Snakemake says only `No rule to produce X`. A name in a place where a rule's pattern takes any is
checked by the rules (`Slices.check`); this is for what is misspelt before any pattern matches.
"""

import difflib
import logging
import re
from collections.abc import Mapping

from featflow.config.errors import did_you_mean
from featflow.plan.programs import featflow
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES, targets

LISTED = "lists the targets"
"""How the last hint ends; where it stands already, a message has been seen."""


class MissingRule(logging.Filter):
    """Puts the closest target behind Snakemake's message, as a filter of its logger."""

    def __init__(self, studies: Mapping[str, Slices]):
        """Args: studies: the slices of each study of the config."""
        super().__init__()
        self.studies = studies

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, with a hint added to the one that says that a rule is missing."""
        message = str(record.msg)
        if getattr(record, "exception", None) == "MissingRuleException" and LISTED not in message:
            target = re.search(r"No rule to produce (\S+)", message)
            name = target[1] if target else ""
            close = difflib.get_close_matches(name, STAGES, n=1) if "/" not in name else []
            if close:  # a word behind --forcerun or --until
                words = f"did you mean {close[0]!r}? {listed()}"
            else:
                words = hint(name, self.studies) if name else listed()
            record.msg = f"{message}\n{words}"
        return True


def hint(target: str, studies: Mapping[str, Slices]) -> str:
    """The closest name or target that there is, and how to list them all."""
    parts = target.split("/")
    if parts[0] == "results" and len(parts) > 2 and parts[1] not in studies:
        return f"there is no study {parts[1]!r}; {did_you_mean(parts[1], studies)} {listed()}"
    known = [path for slices in studies.values() for path in targets(slices)]
    close = difflib.get_close_matches(target, known, n=1)
    return f"did you mean {close[0]}? {listed()}" if close else listed()


def listed() -> str:
    """How to see every target."""
    return f"`{featflow('menu')}` {LISTED}"
