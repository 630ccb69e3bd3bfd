"""Every container is killed once, as by a crash, and all of it comes back by itself (P5)."""

import time

import pytest

from compose.conftest import Loaded
from compose.stack import ALWAYS, ComposeStack, kill

pytestmark = pytest.mark.must(33)

BACK_WITHIN_SECONDS = 150


def test_each_container_comes_back_after_kill_9(stack: ComposeStack, loaded: Loaded) -> None:
    before = {service: stack.inspect(service) for service in ALWAYS}
    # One after the other, so that each dies while the others are in whatever state the kills before left.
    for service in sorted(ALWAYS):
        kill(before[service]["State"]["Pid"])
        time.sleep(1)
    deadline = time.monotonic() + BACK_WITHIN_SECONDS
    waiting = set(ALWAYS)
    while waiting and time.monotonic() < deadline:
        waiting -= {
            service for service in waiting if _is_back(stack, service, before[service]["State"]["Pid"])
        }
        time.sleep(2)
    assert not waiting, {service: stack.health(service) for service in waiting}
    restarts = {
        service: stack.inspect(service)["RestartCount"] - before[service]["RestartCount"]
        for service in ALWAYS
    }
    assert all(count >= 1 for count in restarts.values()), restarts


def test_what_was_accepted_before_is_still_right(stack: ComposeStack, loaded: Loaded) -> None:
    checked = stack.attempt("run", "--rm", "--no-TTY", "demo", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _is_back(stack: ComposeStack, service: str, killed: int) -> bool:
    state = stack.inspect(service)["State"]
    return state["Pid"] not in {0, killed} and stack.health(service) in {"healthy", "running"}
