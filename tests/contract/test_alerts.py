"""Alerts and dashboards ask for what exists, and each alert is known to fire and to stay silent."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow_module import airflow_module
from batch_etl.metrics import BatchMetrics
from batch_etl.outcome import Run
from dashboards.queries import DASHBOARDS, panel_queries
from dashboards.write import FOLDER, files
from ingest_api.metrics import IngestMetrics
from native_stack.cache import SUMS, parse_sums
from native_stack.observers import OBSERVABILITY, OBSERVERS, SCRAPED_SERVICES
from native_stack.requirements import find_observer
from prometheus_client import CollectorRegistry
from s3_sink.metrics import SinkMetrics
from s3_sink.stops import PartitionStop
from service_runtime.readiness import Readiness
from service_runtime.service import process_registry
from stream_etl.metrics import StreamMetrics
from stream_etl.stops import StreamStop

pytestmark = pytest.mark.must(35)

REPOSITORY = Path(__file__).parents[2]
PROMETHEUS = OBSERVABILITY / "prometheus"
PROMISES = {f"P{number}" for number in range(1, 8)}
REASON = "{{ $labels.reason }}"
STOPS = {"SinkPartitionStopped": PartitionStop, "StreamStopped": StreamStop}
# What others export. Those of Kafka and Cassandra are named by ourselves, in jmx/.
THIRD_PARTY = {
    *("up", "ALERTS", "push_time_seconds"),
    *("jvm_memory_used_bytes", "jvm_memory_max_bytes", "jvm_gc_collection_seconds_sum"),
    *("node_filesystem_avail_bytes", "node_filesystem_size_bytes"),
    "caddy_http_request_duration_seconds_count",
    *("pg_up", "pg_stat_activity_count", "pg_database_size_bytes"),
    *("redis_up", "redis_memory_used_bytes", "redis_memory_max_bytes"),
    *("airflow_heartbeats_total", "airflow_ti_finish", "airflow_triggers_running"),
    *("airflow_dag_processing_import_errors", "airflow_dag_processing_total_parse_time"),
    *("airflow_dagrun_duration_success", "airflow_dagrun_duration_success_count"),
    *("airflow_dagrun_duration_failed_count", "airflow_dagrun_schedule_delay"),
    *("airflow_executor_open_slots", "airflow_executor_queued_tasks", "airflow_executor_running_tasks"),
}
SUFFIXES = {"counter": ("_total", "_created"), "histogram": ("_bucket", "_count", "_sum")}


def alerts() -> dict[str, dict[str, Any]]:
    """Every alert by its name."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((PROMETHEUS / "rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                assert rule["alert"] not in found, "two alerts of one name"
                found[rule["alert"]] = rule
    return found


def cases() -> Iterator[tuple[str, bool]]:
    """The alerts that promtool's tests look at, and whether it is to fire then."""
    for path in sorted((PROMETHEUS / "rules" / "tests").glob("*.yml")):
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test["alert_rule_test"]:
                yield case["alertname"], bool(case["exp_alerts"])


def families() -> dict[str, set[str]]:
    """The series of each metric that a service of ours exports."""
    registry: CollectorRegistry = process_registry()
    for metrics in (IngestMetrics, SinkMetrics, StreamMetrics, Readiness):
        metrics(registry)
    BatchMetrics(registry).tell(Run("none"), now=0)
    airflow = airflow_module("metrics")
    airflow.DagMetrics(registry).tell(failed=False, now=0, late_after_seconds=0)
    airflow.HealthMetrics(registry)
    return {
        family.name: {f"{family.name}{suffix}" for suffix in SUFFIXES.get(family.type, ("",))}
        for family in registry.collect()
    }


def asked(expr: str) -> set[str]:
    """The names of metrics in a piece of PromQL."""
    for aside in (r'"[^"]*"', r"\{[^}]*\}", r"\[[^\]]*\]", r"\b(by|on|without|ignoring)\s*\([^)]*\)"):
        expr = re.sub(aside, " ", expr)
    words = set(re.findall(r"(?<![\w.])[a-zA-Z_]\w*\b(?!\s*\()", expr))
    return words - {"and", "or", "unless", "offset", "by", "on"}


def all_asked() -> set[str]:
    rules = {name for rule in alerts().values() for name in asked(rule["expr"])}
    return rules | {name for query in panel_queries() for name in asked(query.expr)}


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(
        [find_observer("promtool"), *arguments], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promql_is_read_for_its_metrics_alone() -> None:
    expr = 'sum by (le) (rate(a_total{b="c{d}"}[5m])) / on (x) (y unless z offset 15m) > 1e3 or vector(0)'
    assert asked(expr) == {"a_total", "y", "z"}


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_how_bad_which_promise_what_happened_and_where_to_read_on(name: str) -> None:
    rule = alerts()[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["promise"] in PROMISES
    assert set(rule["annotations"]) == {"promise", "summary", "runbook"}
    page = rule["annotations"]["runbook"]
    reasons = [stop.reason for stop in STOPS[name].__subclasses__()] if REASON in page else [""]
    for reason in reasons:
        assert (REPOSITORY / page.replace(REASON, reason)).is_file()


@pytest.mark.parametrize("name", alerts())
def test_an_alert_is_known_to_fire_and_to_stay_silent(name: str) -> None:
    assert {fires for alert, fires in cases() if alert == name} == {True, False}


def test_nobody_is_woken_by_an_alert_that_is_not_there() -> None:
    known = set(alerts())
    assert {name for name, _ in cases()} == known
    text = (OBSERVABILITY / "alertmanager" / "alertmanager.yml").read_text()
    inhibited = re.findall(r'alertname=~?"([^"]+)"', text)
    assert {name for names in inhibited for name in names.split("|")} <= known


@pytest.mark.parametrize("path", sorted((PROMETHEUS / "rules" / "tests").glob("*.yml")), ids=lambda p: p.stem)
def test_promtool_agrees(path: Path) -> None:
    promtool("test", "rules", path)


def test_promtool_takes_the_configuration() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")


def test_rules_and_dashboards_ask_for_what_is_exported() -> None:
    ours = {series for family in families().values() for series in family}
    jmx = jmx_names()
    unknown = all_asked() - ours - THIRD_PARTY
    assert {name for name in unknown if not any(re.fullmatch(known, name) for known in jmx)} == set()


def jmx_names() -> list[str]:
    """Patterns of the names that the agents of Kafka and Cassandra give."""
    rules = [
        rule
        for path in sorted((OBSERVABILITY / "jmx").glob("*.yaml"))
        for rule in yaml.safe_load(path.read_text())["rules"]
    ]
    return [re.sub(r"\$\d", "[a-z]+", rule["name"]) for rule in rules]


def test_the_jmx_agent_is_the_one_whose_checksum_is_listed() -> None:
    pom = (OBSERVABILITY / "jmx" / "pom.xml").read_text()
    ((artifact, version),) = re.findall(
        r"<dependency>.*?<artifactId>(.*?)</artifactId>\s*<version>(.*?)</version>", pom, re.DOTALL
    )
    sums = parse_sums((OBSERVABILITY / "jmx" / SUMS).read_text())
    assert list(sums) == [f"{artifact}-{version}.jar"]


def test_every_metric_of_ours_is_on_a_dashboard() -> None:
    shown = {name for query in panel_queries() for name in asked(query.expr)}
    unseen = {
        name for name, series in families().items() if name.startswith("pinflow_") and not series & shown
    }
    assert unseen == set()


def test_what_jmx_shows_is_on_a_dashboard() -> None:
    shown = {name for query in panel_queries() for name in asked(query.expr)}
    assert [known for known in jmx_names() if not any(re.fullmatch(known, name) for name in shown)] == []


def test_the_dashboards_in_the_repository_are_what_the_code_says() -> None:
    stale = [
        path.name for path, content in files().items() if not path.exists() or path.read_text() != content
    ]
    assert stale == [], "run `make dashboards`"
    assert set(FOLDER.glob("*.json")) == files().keys()


def test_every_panel_says_what_good_looks_like_and_in_which_unit() -> None:
    for dashboard in DASHBOARDS:
        panels = [panel for row in dashboard.rows for panel in row.panels]
        assert len({(panel.title) for panel in panels}) == len(panels), f"{dashboard.uid}: two of one title"
        for panel in panels:
            assert "ood: " in panel.good or "(P" in panel.good, panel.title
            assert panel.unit
            assert panel.queries


def test_panels_do_not_lie_upon_each_other() -> None:
    for path in FOLDER.glob("*.json"):
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(path.read_text())["panels"]:
            at = panel["gridPos"]
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert not cells & taken, f"{path.name}: {panel['title']}"
            assert at["x"] + at["w"] <= 24
            taken |= cells


def test_both_stacks_name_the_jobs_that_the_rules_ask_for() -> None:
    scaled = {name: scraped(name) for name in ("single", "cluster")}
    assert set(scaled["single"]) == set(scaled["cluster"])
    jobs = {*scraped("compose"), *scaled["single"]}
    wanted = {
        job for rule in alerts().values() for job in re.findall(r'absent\(up\{job="([^"]+)"', rule["expr"])
    }
    assert wanted == {service.name for service in SCRAPED_SERVICES}
    assert wanted | {observer.name for observer in OBSERVERS} <= jobs


def test_every_server_of_the_cluster_is_scraped() -> None:
    compose = [
        yaml.safe_load((REPOSITORY / f"deploy/compose/{name}.yaml").read_text())
        for name in ("kafka", "stores")
    ]
    services = {name for file in compose for name in file["services"]}
    for job, targets in scraped("cluster").items():
        assert {target.partition(":")[0] for target in targets} == {
            name for name in services if name == job or (name.startswith(f"{job}-") and name[-1].isdigit())
        }


def scraped(name: str) -> dict[str, list[str]]:
    """Return the targets of a file of compose by job."""
    entries = yaml.safe_load((OBSERVABILITY / "targets" / f"{name}.yaml").read_text())
    return {entry["labels"]["job"]: entry["targets"] for entry in entries}
