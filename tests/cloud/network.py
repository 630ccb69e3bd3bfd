"""A network of its own for the host under test: it is on one side of a cable, all of AWS on the other."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

NAMESPACE = "pinflow-host"
CABLE = "pinflow-cable"
NET = "10.213.0.0/24"
AWS = "10.213.0.1"
HOST = "10.213.0.2"
METADATA = "169.254.169.254"
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def run(*command: str, timeout: float = 60, check: bool = True) -> str:
    """Run a command of this machine and return what it printed."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
    )
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def cable() -> Iterator[None]:
    """Lay it, with a way to Debian's mirror behind it; all of it is gone afterwards."""
    with ExitStack() as undo:
        _for_now(undo, ("ip", "netns", "add", NAMESPACE), ("ip", "netns", "del", NAMESPACE))
        link = ("ip", "link", "add", CABLE, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE)
        _for_now(undo, link, ("ip", "link", "del", CABLE))
        for address in (f"{AWS}/24", f"{METADATA}/32"):
            run("ip", "address", "add", address, "dev", CABLE)
        run("ip", "link", "set", CABLE, "up")
        run("ip", "-n", NAMESPACE, "address", "add", f"{HOST}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            run("ip", "-n", NAMESPACE, "link", "set", device, "up")
        run("ip", "-n", NAMESPACE, "route", "add", "default", "via", AWS)
        undo.callback(FORWARDING.write_text, FORWARDING.read_text())
        FORWARDING.write_text("1")
        # Docker may have left this machine forwarding nothing.
        for rule in (
            ("-t", "nat", "POSTROUTING", "-s", NET, "!", "-o", CABLE, "-j", "MASQUERADE"),
            ("-t", "filter", "FORWARD", "-i", CABLE, "-j", "ACCEPT"),
            ("-t", "filter", "FORWARD", "-o", CABLE, "-j", "ACCEPT"),
        ):
            _for_now(
                undo,
                ("iptables", "--wait", *rule[:2], "--insert", *rule[2:]),
                ("iptables", "--wait", *rule[:2], "--delete", *rule[2:]),
            )
        yield


def _for_now(undo: ExitStack, do: tuple[str, ...], take_back: tuple[str, ...]) -> None:
    run(*take_back, check=False)
    run(*do)
    undo.callback(run, *take_back, check=False)
