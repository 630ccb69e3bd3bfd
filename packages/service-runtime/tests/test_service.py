"""Each test runs a real process: signals and exit codes are what a supervisor sees."""

import socket
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

import pytest

SCRIPT = """
import asyncio, sys
from contextlib import asynccontextmanager
from service_runtime.service import Service, run_service
from service_runtime.settings import HttpSettings
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

def say(text): print(text, flush=True)

async def slow(request):
    say("asked")
    await asyncio.sleep(1)
    say("answered")
    return PlainTextResponse("done")

async def worker(stop):
    if {fails}:
        raise RuntimeError("the worker broke")
    await stop.wait()
    say("worker stops")

@asynccontextmanager
async def service():
    yield Service(Starlette(routes=[Route("/", slow)]), worker)
    say("closed")

sys.exit(run_service(HttpSettings(http_port={port}), service()))
"""


def start(port: int, *, fails: bool = False) -> "subprocess.Popen[str]":
    script = SCRIPT.format(port=port, fails=fails)
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_until_it_listens(port: int) -> None:
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        try:
            urlopen(f"http://127.0.0.1:{port}/missing")
        except URLError as error:
            if "404" in str(error):
                return
        time.sleep(0.05)
    raise AssertionError("it does not listen")


@pytest.fixture
def port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def test_sigterm_answers_what_is_open_then_stops_the_worker(port: int) -> None:
    process = start(port)
    assert process.stdout
    wait_until_it_listens(port)
    get = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/').read())"
    with subprocess.Popen([sys.executable, "-c", get], stdout=subprocess.PIPE, text=True) as client:
        # The service says itself that a request is open: nobody can tell how long a client takes to start.
        assert "asked\n" in iter(process.stdout.readline, "")
        process.terminate()
        said, _ = process.communicate(timeout=20)
        answer, _ = client.communicate(timeout=20)
    assert answer.strip() == "b'done'"
    assert [line for line in said.splitlines() if line in {"answered", "worker stops", "closed"}] == [
        "answered",
        "worker stops",
        "closed",
    ]
    assert process.returncode == 0


def test_a_worker_that_fails_ends_the_process_with_1(port: int) -> None:
    process = start(port, fails=True)
    said, _ = process.communicate(timeout=20)
    assert "the worker broke" in said
    assert "closed" in said
    assert process.returncode == 1


def test_a_taken_port_is_named_and_ends_the_process_with_1() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        process = start(port)
        said, _ = process.communicate(timeout=20)
    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert process.returncode == 1
