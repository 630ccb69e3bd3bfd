"""A folder of finished downloads and builds, shared by every clone on the machine.

An entry is named after its version and the hash of its inputs, made in a temporary folder, checked, then
renamed into place. A file lock lets one process make it while the others wait.
"""

import fcntl
import hashlib
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from native_stack.errors import BuildError

SUMS = "SHA256SUMS"
LOCK_POLL_SECONDS = 0.2


class Cancelled(Exception):  # noqa: N818  # not an error: the person at the terminal asked for it
    """The work was called off."""


def input_hash(inputs: Iterable[bytes]) -> str:
    """Return twelve hex digits that change whenever an input does."""
    digest = hashlib.sha256()
    for content in inputs:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:12]


def sha256sums(directory: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of an entry, by name."""
    sums = {}
    for path in sorted(directory.iterdir()):
        if path.name != SUMS:
            with path.open("rb") as file:
                sums[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


def format_sums(sums: Mapping[str, str]) -> str:
    """Return the lines that `sha256sum -c` reads."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))


def parse_sums(text: str) -> dict[str, str]:
    """Read the lines that `sha256sum` writes."""
    pairs = (line.split("  ", 1) for line in text.splitlines() if line)
    return {name: digest for digest, name in pairs}


def first_difference(expected: Mapping[str, str], found: Mapping[str, str]) -> str | None:
    """Return what first differs between two sets of checksums, or None when they agree."""
    for name in sorted({*expected, *found}):
        if name not in found:
            return f"{name} is missing"
        if name not in expected:
            return f"{name} is not in the list of checksums"
        if expected[name] != found[name]:
            return f"{name} has SHA-256 {found[name][:16]}…, expected {expected[name][:16]}…"
    return None


def damage(entry: Path, pinned: Mapping[str, str] | None) -> str | None:
    """Return what is wrong with an entry that exists, or None."""
    sums = entry / SUMS
    if pinned is None and not sums.exists():
        return f"{SUMS} is missing"
    return first_difference(pinned if pinned is not None else parse_sums(sums.read_text()), sha256sums(entry))


def ensure(
    entry: Path,
    make: Callable[[Path], None],
    *,
    pinned: Mapping[str, str] | None,
    say: Callable[[str], None],
    cancel: threading.Event,
) -> None:
    """Leave a checked entry in the cache: an intact one is kept, a missing or damaged one is made.

    `pinned` are checksums known before the download; without them those of the finished build are kept.
    """
    with _locked(entry, say, cancel):
        if entry.exists():
            say("checking")
            problem = damage(entry, pinned)
            if problem is None:
                return
            say(f"damaged in the cache ({problem}): making it again")
            shutil.rmtree(entry)
        partial = entry.with_name(f"{entry.name}.partial")
        # Left over by a killed process; the lock says nobody works on it now.
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            make(partial)
            _seal(partial, pinned)
            partial.rename(entry)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _seal(partial: Path, pinned: Mapping[str, str] | None) -> None:
    found = sha256sums(partial)
    problem = None if pinned is None else first_difference(pinned, found)
    if problem:
        raise BuildError(
            f"{problem}: the download is not what the repository's list of checksums names. "
            "Remove that artifact from ~/.m2/repository and try again; after a change of a pom.xml "
            "write new lists with `native checksums` and review them"
        )
    (partial / SUMS).write_text(format_sums(found))


@contextmanager
def _locked(entry: Path, say: Callable[[str], None], cancel: threading.Event) -> Iterator[None]:
    entry.parent.mkdir(parents=True, exist_ok=True)
    with entry.with_name(f"{entry.name}.lock").open("w") as lock:
        if not _try_lock(lock.fileno()):
            say("another process is making it: waiting")
            while not _try_lock(lock.fileno()):
                if cancel.wait(LOCK_POLL_SECONDS):
                    raise Cancelled
        # The kernel releases the lock with the file, even after kill -9.
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
