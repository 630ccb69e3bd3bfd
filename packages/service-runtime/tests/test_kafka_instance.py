"""Who is known to be dead, and who gives way."""

import os
import subprocess
import sys
from dataclasses import replace

from service_runtime.kafka_instance import Holder


def holder_in_another_process() -> tuple[Holder, "subprocess.Popen[bytes]"]:
    """Return who another process says it is, and that process."""
    program = (
        "import sys; from service_runtime.kafka_instance import Holder;"
        "sys.stdout.buffer.write(Holder().to_bytes() + b'\\n'); sys.stdout.flush(); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    holder = Holder.from_bytes(process.stdout.readline())
    assert holder is not None
    return holder, process


def test_a_process_is_known_dead_once_it_was_killed() -> None:
    holder, process = holder_in_another_process()
    with process:
        assert holder.pid == process.pid
        assert not holder.is_known_dead
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert holder.is_known_dead, "a zombie holds its id only"
    assert holder.is_known_dead


def test_another_process_of_the_same_id_is_not_taken_for_it() -> None:
    mine = Holder()
    assert not mine.is_known_dead
    assert mine.born is not None
    assert replace(mine, born=mine.born - 1).is_known_dead


def test_of_another_place_nothing_is_known() -> None:
    assert not replace(Holder(), place="elsewhere", born=1).is_known_dead


def test_one_of_two_gives_way() -> None:
    older, younger = replace(Holder(), started=1.0), replace(Holder(), started=2.0)
    assert younger.is_younger_than(older)
    assert not older.is_younger_than(younger)
    twin = replace(older, consumer="another")
    assert twin.is_younger_than(older) != older.is_younger_than(twin)


def test_what_another_client_wrote_names_nobody() -> None:
    assert Holder.from_bytes(b"") is None
    assert Holder.from_bytes(b"[1]") is None
    assert Holder.from_bytes(b'{"host": "x", "unknown": 1}') is None
    mine = Holder()
    assert Holder.from_bytes(mine.to_bytes()) == mine
