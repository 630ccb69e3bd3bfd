"""What watches the stack, when asked for: Prometheus, Alertmanager and the Pushgateway."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from native_stack import probes
from native_stack.program import Program
from native_stack.requirements import find_observer
from native_stack.services import IngestApi, S3Sink, Service, StreamEtl
from native_stack.settings import REPOSITORY

OBSERVABILITY = REPOSITORY / "deploy" / "observability"
READY_PATH = "/-/ready"
SCRAPED_SERVICES: tuple[type[Service], ...] = (IngestApi, S3Sink, StreamEtl)


class Observer(Program):
    """A program of the Prometheus family."""

    options: ClassVar[tuple[str, ...]] = ()

    def command(self) -> list[str]:
        """Return the program with its options, `{config}` and `{data}` filled in."""
        filled = [option.format(config=self.config_dir, data=self.data_dir) for option in self.options]
        return [str(find_observer(self.name)), f"--web.listen-address={self.address}", *filled]

    def prepare(self) -> None:
        """Make its directories, with the configuration it shares with the compose stack."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        shared = OBSERVABILITY / self.name
        if shared.is_dir():
            shutil.rmtree(self.config_dir, ignore_errors=True)
            shutil.copytree(shared, self.config_dir, ignore=shutil.ignore_patterns("tests"))

    def inputs(self) -> Iterable[Path]:
        """Return its configuration files, those in folders too."""
        return sorted(path for path in self.config_dir.rglob("*") if path.is_file())

    def probe(self) -> None:
        """Ask whether it is ready."""
        probes.http_health(self.port, READY_PATH)


class Prometheus(Observer):
    """Scrapes the services and judges the rules."""

    name = "prometheus"
    purpose = "watches the stack"
    ports = ("prometheus_port",)
    # Whichever is reached first: the disk stays flat.
    options = (
        "--config.file={config}/prometheus.yml",
        "--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=7d",
        "--storage.tsdb.retention.size=512MB",
    )

    def prepare(self) -> None:
        """Write the configuration, and what there is to scrape here."""
        super().prepare()
        targets = self.config_dir / "targets"
        targets.mkdir()
        scraped = [program(self.context) for program in (*SCRAPED_SERVICES, *OBSERVERS)]
        lines = [f'- labels: {{job: {p.name}}}\n  targets: ["{p.address}"]\n' for p in scraped]
        (targets / "native.yaml").write_text("".join(lines), encoding="utf-8")


class Alertmanager(Observer):
    """Groups the alerts and shows them."""

    name = "alertmanager"
    purpose = "shows the alerts"
    ports = ("alertmanager_port",)
    options = (
        "--config.file={config}/alertmanager.yml",
        "--storage.path={data}",
        "--data.retention=120h",
        # Alone: without this it listens for others on every address.
        "--cluster.listen-address=",
    )


class Pushgateway(Observer):
    """Keeps the last word of batch-etl."""

    name = "pushgateway"
    purpose = "keeps the metrics of runs"
    ports = ("pushgateway_port",)
    options = ("--persistence.file={data}/metrics",)


OBSERVERS: tuple[type[Observer], ...] = (Prometheus, Alertmanager, Pushgateway)
