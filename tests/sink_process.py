"""A running `s3-sink`, asked for its health and metrics."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class SinkProcess:
    """A running `s3-sink`."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self._url = f"http://127.0.0.1:{port}"

    def send(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    @property
    def peak_mib(self) -> float:
        """The most memory that it has held, as the kernel counts."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    async def ready(self) -> dict[str, str]:
        """Return the state of each dependency, or why it is awaited; nothing while it does not answer."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self._url}/health/ready") as answer:
                report: dict[str, Any] = (await answer.json())["dependencies"]
        except aiohttp.ClientConnectionError:
            return {}
        return {name: entry.get("why", entry["state"]) for name, entry in report.items()}

    async def metric(self, sample: str) -> float:
        """Return a sample as it is printed, 0 when it is not."""
        async with aiohttp.ClientSession() as session, session.get(f"{self._url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(sample)), 0.0)

    async def shows(self, sample: str, value: float) -> None:
        """Wait until a sample has this value; lag is measured every other second."""
        async with asyncio.timeout(10):
            while await self.metric(sample) != value:
                await asyncio.sleep(0.2)

    async def says(self, fact: Callable[[dict[str, str]], bool], seconds: float = 60) -> dict[str, str]:
        """Wait until its readiness fits; return it."""
        report: dict[str, str] = {}
        try:
            async with asyncio.timeout(seconds):
                while not fact(report := await self.ready()):
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"after {seconds:g} s it says {report}") from None
        return report

    async def is_ready(self, seconds: float = 60) -> None:
        """Wait until every dependency is up."""
        await self.says(lambda report: bool(report) and set(report.values()) == {"up"}, seconds)
