"""A Debian 12 machine that boots as one of EC2 does: systemd, cloud-init, a volume that can be attached."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from images.ingredients import shell_build

from cloud.network import NAMESPACE, run

HERE = Path(__file__).parent / "debian"
SOURCES = HERE.parents[1] / "images/debian/debian.sources"
IMAGE = shell_build("debian-host", "bookworm", HERE / "image.sh", (SOURCES,), tuple)
# As EC2 makes it, and with the packages that user data install first.
BARE, LATER = "bare", "later"
# What docker.io keeps images in; the engine of this machine must not use it meanwhile.
IMAGES = Path("/var/lib/docker")
BOOT_SECONDS = 60
STOP_SECONDS = 330
CONTROL_GROUPS = Path("/sys/fs/cgroup")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Volume:
    """A volume of EC2: a file here, a device there."""

    device: str
    "Of this machine, such as /dev/loop3."

    @classmethod
    @contextmanager
    def of(cls, file: Path, gibibytes: int) -> Iterator["Volume"]:
        """Make one, with nothing on it."""
        with file.open("wb") as new:
            new.truncate(gibibytes * 1024**3)
        device = run("losetup", "--find", "--show", str(file)).strip()
        try:
            yield cls(device)
        finally:
            run("losetup", "--detach", device, check=False)


@dataclass(frozen=True)
class Host:
    """A machine that runs."""

    machine: subprocess.Popen[bytes]
    "Ends with its first process."
    pid: int
    "Of its first process, as this machine counts."
    files: Path
    "What it has written, on this machine."

    @classmethod
    @contextmanager
    def booted(cls, image: Path, directory: Path) -> Iterator["Host"]:
        """Boot the image, with all it writes in the directory; end it in the end, whatever it does."""
        command = [
            str(HERE / "boot.sh"),
            NAMESPACE,
            str(image),
            str(directory),
            str(IMAGES),
        ]
        with (directory / "boot.log").open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            host = cls(process, _first_process(process, directory / "boot.log"), directory / "files")
            host.run("true", within=BOOT_SECONDS)
            yield host
        finally:
            process.kill()
            process.wait()
            _remove_control_groups()
            # What it has written is a gibibyte and more.
            shutil.rmtree(directory, ignore_errors=True)

    def attempt(self, command: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a line of shell in it, as root, and return what became of it."""
        if not self.runs:
            raise RuntimeError(f"the machine has ended: not run: {command}")
        namespaces = ["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup"]
        enter = ["nsenter", "--target", str(self.pid), *namespaces, "--wd=/"]
        environment = ["/usr/bin/env", "-i", "HOME=/root", f"PATH={PATH}"]
        return subprocess.run(
            [*enter, *environment, "bash", "-c", command],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def run(self, command: str, timeout: float = 300, within: float = 0) -> str:
        """Run a line of shell in it and return what it printed; again and again for so many seconds."""
        deadline = time.monotonic() + within
        while (done := self.attempt(command, timeout)).returncode and time.monotonic() < deadline:
            time.sleep(0.5)
        if done.returncode:
            raise RuntimeError(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Write a file of its."""
        self.run(f"cat >{path} <<'END'\n{text}END")

    def plug(self, volume: Volume, volume_id: str) -> None:
        """Show it the device, under the name that EC2's volumes have on Debian."""
        number = re.sub(r"\D", "", Path(volume.device).name)
        link = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume_id.replace('-', '')}"
        self.run(
            f"mkdir -p /dev/disk/by-id && mknod {volume.device} b 7 {number} && ln -s {volume.device} {link}"
        )

    def said(self) -> str:
        """All that its user data have said."""
        log = self.files / "var/log/cloud-init-output.log"
        return log.read_text(errors="replace") if log.exists() else ""

    @property
    def runs(self) -> bool:
        """Whether it has not shut down."""
        return self.machine.poll() is None

    def shut_down(self) -> None:
        """Do what EC2 does to one that it replaces."""
        self.attempt("systemctl poweroff")
        self.machine.wait(STOP_SECONDS)


def _first_process(boot: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline and boot.poll() is None:
        for child in run("pgrep", "--parent", str(boot.pid), "systemd", check=False).split():
            return int(child)
        time.sleep(0.1)
    raise RuntimeError(f"the machine did not boot:\n{log.read_text()}")


def _remove_control_groups() -> None:
    """Remove those of a machine that has ended, when its last process is gone, and so its file systems."""
    deadline = time.monotonic() + BOOT_SECONDS
    for group in sorted(CONTROL_GROUPS.glob("*/pinflow-host/**/"), reverse=True):
        while True:
            try:
                group.rmdir()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
