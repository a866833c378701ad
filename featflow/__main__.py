"""`python -m featflow`: what the rules call.

A study is a hundred short processes, and much of each is Python's own housekeeping around some
thousand imported modules: half of the CPU time of a stage that only imports transformers.
"""

import atexit
import gc
import importlib
import os
import sys


def run() -> None:
    """Run the command line, then end at once.

    The collector finds no garbage in what imports make; it is off until a verb begins (cli.py).
    And nobody needs the modules to be taken apart at the end: files are closed, exit handlers run.
    """
    gc.disable()
    try:
        importlib.import_module("featflow.cli").main()
        status = 0
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        status = end.code or 0
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


run()
