"""Lines of services ↔ lines of tasks."""

import logging

import pytest
from pinflow_airflow.loglines import read


def test_a_services_line_becomes_a_sentence_at_its_level() -> None:
    line = '{"why": "no broker", "service": "s3-sink", "level": "warning", "message": "waiting"}'
    assert read(line) == (logging.WARNING, "waiting why=no broker")


@pytest.mark.parametrize(
    "line", ["", "WARN StreamingQuery", '{"run_id": "a"}', '{"level": 1, "message": "x"}', "[1]", "7"]
)
def test_any_other_line_stays_as_it_is(line: str) -> None:
    assert read(line) == (logging.INFO, line)
