"""How much memory a command and all it starts need, as the kernel counts it."""

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil

PAUSE_SECONDS = 0.1


async def peak_memory(pid: int) -> dict[str, int]:
    """The most MiB that the process and its descendants held, by program, when it has ended.

    Of those alive at a time each one's own peak (VmHWM): never less than what they held together, and more
    where forks share pages.
    """
    peak = Counter[str]()
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            family = [parent, *parent.children(recursive=True)]
            held = Counter[str]()
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    held[member.name()] += _high_water_mark(member)
            peak = max(peak, held, key=Counter.total)
            await asyncio.sleep(PAUSE_SECONDS)
    return peak


def _high_water_mark(process: psutil.Process) -> int:
    with suppress(OSError), Path(f"/proc/{process.pid}/status").open(encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1024
    return 0
