"""check.sh, by which a server that is not ready says that it is at work on it, in namespaces of its own."""

import os
import re
import shutil
import subprocess

import pytest
from native_stack.settings import REPOSITORY

CHECK = REPOSITORY / "deploy/compose/check.sh"
# Processes and /tmp of its own, as in a container.
APART = ["unshare", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"]
WORKS = """
python3 -c '
import time
with open("/dev/zero", "rb", buffering=0) as log:
    while True:
        log.read(1 << 20)
        time.sleep(0.01)
' &
"""
HANGS = "sleep 60 &\n"
NOT_READY = "echo no answer; exit 1"


def is_possible() -> bool:
    """Whether this machine gives namespaces; where it gives none the compose stack's tests remain."""
    return bool(shutil.which("unshare")) and not subprocess.run([*APART, "true"], check=False).returncode


pytestmark = [
    pytest.mark.must(38),
    pytest.mark.skipif(not is_possible(), reason="no namespaces here"),
]


def said(beside: str, *checks: str) -> list[str]:
    """Do these checks, a second apart, beside a process; return what each printed, then its exit code."""
    looks = [f'sh -c "$CHECK" check.sh sh -c \'{check}\'; echo "-> $?"' for check in checks]
    script = "mount -t tmpfs tmpfs /tmp\n" + beside + "sleep 1\n" + "\nsleep 1\n".join(looks)
    environment = os.environ | {"CHECK": CHECK.read_text()}
    done = subprocess.run(
        [*APART, "sh", "-c", script], env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.splitlines()


def test_what_moves_bytes_before_its_first_answer_makes_progress() -> None:
    first, _, second, code = said(WORKS, NOT_READY, NOT_READY)
    assert first == "no answer"
    assert second.startswith("progress: ")
    assert int(second.split()[1]) >= 1
    assert code == "-> 1"


def test_what_hangs_says_what_its_check_says() -> None:
    assert said(HANGS, NOT_READY, NOT_READY) == ["no answer", "-> 1"] * 2


def test_what_has_answered_once_is_sick_when_it_answers_no_more() -> None:
    assert said(WORKS, "exit 0", NOT_READY, NOT_READY) == ["-> 0", *["no answer", "-> 1"] * 2]


def test_the_schedule_reads_what_the_check_says() -> None:
    # Its environment is another: the word is the contract.
    engine = (REPOSITORY / "airflow/src/pinflow_airflow/engine.py").read_text()
    (word,) = re.findall(r'^PROGRESS = "(.+)"$', engine, re.MULTILINE)
    assert f'said="{word}$mebibytes' in CHECK.read_text()
