"""The template's user data, executed for real, up to a first pin; and broken."""

import time

from cloud.host import Host
from cloud.region import Region


def told(region: Region, host: Host, within: float) -> str:
    """Wait until the host tells the stack how it went, and return the word."""
    before, deadline = len(region.signals()), time.monotonic() + within
    while len(region.signals()) == before and time.monotonic() < deadline:
        time.sleep(0.5)
    assert len(region.signals()) > before, host.said()
    return region.signals()[-1].body["Status"]


def test_it(region: Region) -> None:
    region.deploy(UseRds="false")
    with region.host("first") as host:
        t = time.time()
        word = told(region, host, 600)
        print("word", word, time.time() - t)
        print(host.said()[-6000:])
        print(
            host.attempt(
                "docker ps -a; docker compose version; systemctl --failed; free -m; docker logs pinflow-host-migrate-1 2>&1 | tail -5; docker logs pinflow-host-s3-sink-1 2>&1 | tail -5"
            ).stdout
        )
        import os

        while os.path.exists("/tmp/hold"):
            time.sleep(1)
        assert word == "SUCCESS"
