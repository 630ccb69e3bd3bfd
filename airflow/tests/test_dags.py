"""What every DAG has to be: the policy, for those to come as well."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from parsing import DAGS, REPOSITORY, parsed
from pinflow_airflow.gate import RuntimeIsUp
from pinflow_airflow.reporting import Reports
from pinflow_airflow.runtime import RUNTIME

pytestmark = pytest.mark.must(36, 40)

MOST_SECONDS_TO_PARSE = 1.0
SECTIONS = ("## Who reads the output", "## What a failure costs", "## When it is red")
NAMES = sorted(path.stem for path in DAGS.glob("*.py"))


def dag(bag: DagBag, name: str) -> DAG:
    """Return the DAG of a file."""
    assert name in bag.dags, f"{name}.py holds no DAG of its name"
    return bag.dags[name]


def tasks(bag: DagBag) -> list[Any]:
    """Return every task of every DAG."""
    return [task for one in bag.dags.values() for task in one.tasks]


def test_there_are_no_import_errors(bag: DagBag) -> None:
    assert bag.import_errors == {}


def test_a_file_holds_one_dag_of_its_name(bag: DagBag) -> None:
    assert sorted(bag.dags) == NAMES


def test_no_file_takes_a_second_to_parse(bag: DagBag) -> None:
    slow = {
        stat.file: stat.duration
        for stat in bag.dagbag_stats
        if stat.duration.total_seconds() > MOST_SECONDS_TO_PARSE
    }
    assert not slow


def test_reading_the_dags_reaches_for_nothing(bag: DagBag) -> None:
    assert parsed(DAGS)[1] == []


@pytest.mark.parametrize(
    "line",
    [
        "open('/etc/hostname')",
        "__import__('socket').getaddrinfo('localhost', 80)",
        "__import__('os').system('true')",
    ],
)
def test_a_dag_that_reaches_for_something_is_found(tmp_path: Path, bag: DagBag, line: str) -> None:
    (tmp_path / "reaching.py").write_text(f"# an airflow dag\n{line}\n")
    assert parsed(tmp_path)[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_has_a_page_that_says_who_reads_it_and_what_to_do(bag: DagBag, name: str) -> None:
    page = dag(bag, name).doc_md or ""
    assert page.strip().startswith("# ")
    assert [section for section in SECTIONS if section not in page] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_leads_to_pages_that_exist(bag: DagBag, name: str) -> None:
    words = (dag(bag, name).doc_md or "").replace(",", " ").split()
    missing = [
        word
        for word in words
        if "/" in word
        and word.rstrip(".:;").endswith(".md")
        and not (REPOSITORY / word.rstrip(".:;")).is_file()
    ]
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_runs_once_at_a_time_and_not_for_ever(bag: DagBag, name: str) -> None:
    one = dag(bag, name)
    assert one.max_active_runs == 1
    assert not one.catchup
    assert one.dagrun_timeout
    assert {"pinflow"} < one.tags


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_tells_how_it_went_and_when_it_is_late(bag: DagBag, name: str) -> None:
    one = dag(bag, name)
    succeeded, failed = one.on_success_callback, one.on_failure_callback
    assert isinstance(succeeded, Reports)
    assert failed == Reports(failed=True, late_after=succeeded.late_after)
    assert not succeeded.failed
    assert bool(succeeded.late_after) == (str(one.schedule) not in {"None", "@once"})


@pytest.mark.parametrize("name", sorted({*NAMES} - {RUNTIME}))
def test_a_dag_begins_once_there_is_a_runtime(bag: DagBag, name: str) -> None:
    (first,) = dag(bag, name).roots
    assert isinstance(first, RuntimeIsUp)


def test_a_new_airflow_brings_up_the_runtime_by_itself(bag: DagBag) -> None:
    assert str(dag(bag, RUNTIME).schedule) == "@once"


def test_a_task_has_an_owner_retries_and_a_timeout(bag: DagBag) -> None:
    for task in tasks(bag):
        assert task.owner == "pinflow", task.task_id
        assert task.execution_timeout, task.task_id
        assert task.execution_timeout <= task.dag.dagrun_timeout
        # What restarts containers counts its own tries.
        assert task.retries >= 1 or task.dag_id == "pins_health", task.task_id
        assert task.retry_delay >= timedelta(seconds=10)


def test_a_dag_starts_only_containers_that_the_compose_files_make(bag: DagBag) -> None:
    made = {
        name
        for path in (REPOSITORY / "deploy/compose").glob("*.yaml")
        for name in yaml.safe_load(path.read_text()).get("services", {})
    }
    started = {task.service for task in tasks(bag) if hasattr(task, "service")}
    assert "batch-etl" in started
    assert started <= made


def test_nothing_of_the_pipeline_is_imported(bag: DagBag) -> None:
    ours = {"pin_schema", "service_runtime", "batch_etl", "stream_etl", "s3_sink", "ingest_api", "migrations"}
    text = "\n".join(path.read_text() for path in [*DAGS.glob("*.py"), *(DAGS.parent / "src").rglob("*.py")])
    assert [name for name in ours if f"import {name}" in text or f"from {name}" in text] == []
