import subprocess
import sys
import threading
from pathlib import Path

import pytest
from native_stack import cache
from native_stack.errors import BuildError

CONTENT = b"jar"


class Maker:
    """Writes one file, and counts how often."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content = content
        self.runs = 0

    def __call__(self, target: Path) -> None:
        self.runs += 1
        (target / "a.jar").write_bytes(self.content)


def ensure(entry: Path, make: Maker, pinned: dict[str, str] | None = None) -> list[str]:
    said: list[str] = []
    cache.ensure(entry, make, pinned=pinned, say=said.append, cancel=threading.Event())
    return said


def sums_of(content: bytes, directory: Path) -> dict[str, str]:
    directory.mkdir()
    (directory / "a.jar").write_bytes(content)
    return cache.sha256sums(directory)


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    make = Maker()
    for _ in range(2):
        ensure(tmp_path / "entry", make)
    assert make.runs == 1
    assert (tmp_path / "entry" / "a.jar").read_bytes() == CONTENT


def test_a_damaged_entry_is_made_again_and_says_so(tmp_path: Path) -> None:
    make = Maker()
    ensure(tmp_path / "entry", make)
    (tmp_path / "entry" / "a.jar").write_bytes(b"torn")
    said = ensure(tmp_path / "entry", make)
    assert make.runs == 2
    assert (tmp_path / "entry" / "a.jar").read_bytes() == CONTENT
    assert any("damaged in the cache (a.jar has SHA-256" in line for line in said)


@pytest.mark.parametrize("name", ["a.jar", cache.SUMS])
def test_an_entry_that_lost_a_file_is_made_again(tmp_path: Path, name: str) -> None:
    make = Maker()
    ensure(tmp_path / "entry", make)
    (tmp_path / "entry" / name).unlink()
    ensure(tmp_path / "entry", make)
    assert make.runs == 2
    assert (tmp_path / "entry" / name).exists()


def test_a_file_nobody_listed_makes_an_entry_damaged(tmp_path: Path) -> None:
    make = Maker()
    ensure(tmp_path / "entry", make)
    (tmp_path / "entry" / "evil.jar").write_bytes(b"")
    ensure(tmp_path / "entry", make)
    assert make.runs == 2
    assert not (tmp_path / "entry" / "evil.jar").exists()


def test_a_download_that_differs_from_the_repositorys_list_is_refused_and_not_kept(tmp_path: Path) -> None:
    pinned = sums_of(CONTENT, tmp_path / "good")
    with pytest.raises(BuildError, match=r"a\.jar has SHA-256"):
        ensure(tmp_path / "entry", Maker(b"something else"), pinned)
    assert not (tmp_path / "entry").exists()
    assert not list(tmp_path.glob("*.partial"))


def test_a_pinned_entry_is_held_to_the_repositorys_list_not_to_its_own(tmp_path: Path) -> None:
    pinned = sums_of(CONTENT, tmp_path / "good")
    ensure(tmp_path / "entry", Maker(), pinned)
    forged = tmp_path / "entry"
    (forged / "a.jar").write_bytes(b"forged")
    (forged / cache.SUMS).write_text(cache.format_sums(cache.sha256sums(forged)))
    make = Maker()
    ensure(forged, make, pinned)
    assert make.runs == 1


def test_a_failed_build_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    def fail(target: Path) -> None:
        (target / "half").write_bytes(b"")
        raise BuildError("no network")

    with pytest.raises(BuildError):
        cache.ensure(tmp_path / "entry", fail, pinned=None, say=lambda _: None, cancel=threading.Event())
    assert [path.name for path in tmp_path.iterdir()] == ["entry.lock"]


def test_what_a_killed_build_left_is_not_mixed_in(tmp_path: Path) -> None:
    (tmp_path / "entry.partial").mkdir()
    (tmp_path / "entry.partial" / "stale.jar").write_bytes(b"")
    ensure(tmp_path / "entry", Maker())
    assert {path.name for path in (tmp_path / "entry").iterdir()} == {"a.jar", cache.SUMS}


def test_checksum_lists_survive_writing_and_reading(tmp_path: Path) -> None:
    sums = sums_of(CONTENT, tmp_path / "good")
    assert cache.parse_sums(cache.format_sums(sums)) == sums


def test_every_input_counts_for_the_key() -> None:
    assert cache.input_hash([b"a", b"b"]) != cache.input_hash([b"ab", b""])


BUILD_SLOWLY = """
import sys, threading, time
from pathlib import Path
from native_stack import cache

def make(target):
    print("made", flush=True)
    time.sleep(0.5)
    (target / "a.jar").write_bytes(b"jar")

cache.ensure(Path(sys.argv[1]), make, pinned=None, say=print, cancel=threading.Event())
"""


def test_two_processes_at_once_build_once_and_the_second_says_that_it_waits(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUILD_SLOWLY, str(tmp_path / "cache" / "entry")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    lines = "".join(outputs).splitlines()
    assert lines.count("made") == 1
    assert "another process is making it: waiting" in lines


def test_a_cancelled_wait_for_the_lock_ends(tmp_path: Path) -> None:
    entry = tmp_path / "entry"
    cancel = threading.Event()

    def interrupted_by_the_second(target: Path) -> None:
        (target / "a.jar").write_bytes(CONTENT)
        cancel.set()
        with pytest.raises(cache.Cancelled):
            cache.ensure(entry, Maker(), pinned=None, say=lambda _: None, cancel=cancel)

    cache.ensure(entry, interrupted_by_the_second, pinned=None, say=lambda _: None, cancel=threading.Event())
