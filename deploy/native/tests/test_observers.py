from pathlib import Path

import pytest
import yaml
from native_stack import observers
from native_stack.credentials import Credentials
from native_stack.jobs import BatchEtl
from native_stack.observers import OBSERVERS, Alertmanager, Prometheus, Pushgateway
from native_stack.program import Context
from native_stack.programs import PROGRAMS
from native_stack.settings import NativeSettings


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(observers, "find_observer", lambda name: Path("/usr/bin") / name)
    settings = NativeSettings.for_tests(tmp_path)
    return Context(settings, Credentials(settings.secret_dir))


def test_nobody_watches_unless_asked() -> None:
    assert not set(OBSERVERS) & set(PROGRAMS)


def test_prometheus_scrapes_every_service_and_those_who_watch(context: Context) -> None:
    prometheus = Prometheus(context)
    prometheus.prepare()
    (targets,) = (prometheus.config_dir / "targets").iterdir()
    found = {each["labels"]["job"]: each["targets"] for each in yaml.safe_load(targets.read_text())}
    assert found["s3-sink"] == [f"127.0.0.1:{context.settings.sink_port}"]
    assert set(found) == {"ingest-api", "s3-sink", "stream-etl", "prometheus", "alertmanager", "pushgateway"}


def test_a_changed_rule_restarts_prometheus_and_a_changed_test_does_not(context: Context) -> None:
    prometheus = Prometheus(context)
    prometheus.prepare()
    inputs = {path.name for path in prometheus.inputs()}
    assert {"prometheus.yml", "sink.yml"} <= inputs
    assert not any(name.endswith("_test.yml") for name in inputs)


def test_whoever_watches_listens_on_loopback_and_keeps_its_disk_flat(context: Context) -> None:
    for observer in OBSERVERS:
        assert f"--web.listen-address={observer(context).address}" in observer(context).command()
    assert "--storage.tsdb.retention.size=512MB" in Prometheus(context).command()
    assert "--cluster.listen-address=" in Alertmanager(context).command()


def test_batch_etl_pushes_where_there_is_a_pushgateway(context: Context) -> None:
    assert "BATCH_PUSHGATEWAY_URL" not in BatchEtl(context).environment()
    watched = Context(context.settings, context.credentials, frozenset({Pushgateway.name}))
    address = f"http://127.0.0.1:{context.settings.pushgateway_port}"
    assert BatchEtl(watched).environment()["BATCH_PUSHGATEWAY_URL"] == address
