"""The commands as a shell runs them."""

import asyncio
import hashlib
import json
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pin_emulator import reference
from pin_emulator.cli import app
from pin_emulator.counts import REFERENCE_COUNTS
from pin_emulator.progress import line
from pin_emulator.summary import Summary
from pin_emulator.traffic import traffic
from typer.testing import CliRunner


class Ingest:
    """Keeps what is posted, and refuses everything once told to."""

    def __init__(self) -> None:
        application = web.Application()
        application.router.add_post("/pin/", self.answer)
        application.router.add_post("/pins", self.answer)
        self.server = TestServer(application)
        self.log: list[bytes] = []
        self.refusing = False
        self.first_pin = asyncio.Event()

    @property
    def url(self) -> str:
        return str(self.server.make_url("/"))

    async def answer(self, request: web.Request) -> web.Response:
        if self.refusing:
            return web.json_response({"title": "Invalid pin", "detail": "index is missing"}, status=422)
        receipts = []
        for pin in (await request.read()).splitlines():
            at = {"partition": 0, "offset": len(self.log)}
            receipts.append({"topic": "pins", "log": "t01234567", **at, "timestamp": 0})
            self.log.append(pin)
        self.first_pin.set()
        return web.json_response({"receipts": receipts} if request.path == "/pins" else receipts[0])


@pytest.fixture
async def ingest() -> AsyncIterator[Ingest]:
    served = Ingest()
    async with served.server:
        yield served


async def start(*arguments: str) -> Process:
    command = (sys.executable, "-m", "pin_emulator", *arguments)
    return await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)


async def finish(process: Process) -> tuple[int, str, str]:
    stdout, stderr = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stdout.decode(), stderr.decode()


async def pin_emulator(*arguments: str) -> tuple[int, str, str]:
    """Run the command to its end: exit code, stdout, stderr."""
    return await finish(await start(*arguments))


async def test_reference_posts_every_pin_and_prints_json_alone(ingest: Ingest) -> None:
    code, stdout, stderr = await pin_emulator(
        "reference", "--url", ingest.url, "--batch-size", "500", "--connections", "2", "--json"
    )
    assert (code, stderr) == (0, "")
    summary = json.loads(stdout)
    assert (summary["posted"], summary["refused"], summary["retries"]) == (20_226, 0, {})
    assert Counter(ingest.log) == Counter(reference.pins())


async def test_reference_reports_for_people_and_shows_progress_on_stderr(ingest: Ingest) -> None:
    code, stdout, stderr = await pin_emulator("reference", "--url", ingest.url, "--limit", "300")
    assert code == 0
    assert stdout.startswith("posted 300 pins in ")
    assert "300 of 300 pins" in stderr
    assert Counter(ingest.log) == Counter(reference.pins()[:300])


async def test_a_refused_pin_is_exit_code_1_and_shows_why(ingest: Ingest) -> None:
    ingest.refusing = True
    code, stdout, _ = await pin_emulator("reference", "--url", ingest.url, "--limit", "3")
    assert code == 1
    assert "refused 3" in stdout
    assert "422 Invalid pin: index is missing" in stdout


async def test_giving_up_is_exit_code_3_and_names_the_address() -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody_listens.getsockname()[1]}"
        code, stdout, stderr = await pin_emulator("reference", "--url", url, "--give-up-after", "0.5")
    assert code == 3
    assert f"nothing got through to {url}/pin/ for 0.5 s: no connection" in stderr
    assert f"waiting for {url} (no connection)" in stderr
    assert stdout.startswith("posted 0 pins")


@pytest.mark.parametrize(("signum", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_stops_a_stream_cleanly(ingest: Ingest, signum: int, exit_code: int) -> None:
    process = await start("stream", "--rate", "200", "--url", ingest.url, "--json")
    await asyncio.wait_for(ingest.first_pin.wait(), 30)
    process.send_signal(signum)
    code, stdout, stderr = await finish(process)
    assert (code, stderr) == (exit_code, "")
    summary = json.loads(stdout)
    assert summary["posted"] == len(ingest.log)
    assert summary["unconfirmed"] == 0


async def test_a_stream_posts_as_many_pins_of_its_seed_as_asked(ingest: Ingest) -> None:
    code, stdout, _ = await pin_emulator(
        "stream", "--rate", "500", "--count", "100", "--seed", "7", "--url", ingest.url, "--json"
    )
    assert code == 0
    assert json.loads(stdout)["posted"] == 100
    assert Counter(ingest.log) == Counter(islice(traffic(7), 100))


def test_dry_run_counts_the_dataset() -> None:
    result = CliRunner().invoke(app, ["reference", "--dry-run", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == msgspec.to_builtins(REFERENCE_COUNTS)
    assert "distinct: 11,154" in CliRunner().invoke(app, ["reference", "--dry-run"]).stdout


def test_output_writes_the_dataset_as_ndjson(tmp_path: Path) -> None:
    file = tmp_path / "pins.ndjson"
    result = CliRunner().invoke(app, ["reference", "--output", str(file), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"written": 20_226, "file": str(file)}
    whole = b"".join(pin + b"\n" for pin in reference.pins())
    assert hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256(whole).digest()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reference", "--url", "localhost:8000"], "http://127.0.0.1:8000"),
        (["reference", "--dry-run", "--output", "x"], "choose one"),
        (["reference", "--batch-size", "0"], "batch-size"),
        (["stream"], "--rate"),
        (["stream", "--rate", "1", "--count", "1", "--duration", "1"], "choose one"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what_to_do(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert said in re.sub(r"\x1b\[[\d;]*m", "", result.output)


@pytest.mark.parametrize("command", ["reference", "stream"])
def test_help_teaches_with_examples(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"pin-emulator {command} --" in re.sub(r"\x1b\[[\d;]*m", "", result.output)


def test_a_line_of_progress_names_what_is_waited_for() -> None:
    summary = Summary(posted=1_200, refused=34, waiting_for="no connection")
    expected = "waiting for http://a (no connection): 1,234 of 20,226 pins, 0/s, 0 retries"
    assert line(summary, "http://a", 20_226) == expected
