"""How a run ends: the process's exit codes."""

import signal
from enum import IntEnum


class Exit(IntEnum):
    """What a scheduler needs to know; 2 (usage) and 78 (settings) come from before the run."""

    DONE = 0
    FAILED = 1
    NOTHING_TO_DO = 10
    SET_ASIDE = 11
    OUT_OF_MEMORY = 12
    RETRY = 75  # sysexits.h: EX_TEMPFAIL
    INTERRUPTED = 128 + signal.SIGINT
    TERMINATED = 128 + signal.SIGTERM


HELP = """
Exit codes:

  0    done: everything in reach is loaded

  10   nothing to do: the ledger has every object

  11   done, but some input is set aside: the summary names it, and the next run tries it again

  12   the memory does not suffice, even for single objects: the summary names them, all others are loaded

  75   try again: a dependency stayed away, or Spark failed

  78   a setting is missing or wrong: stderr names the variable

  2    wrong usage

  130  interrupted by Ctrl-C; 143 by SIGTERM: what was not recorded is loaded by the next run

  1    anything else: a bug; what was not recorded is loaded by the next run
"""
