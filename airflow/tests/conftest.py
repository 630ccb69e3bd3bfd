"""Airflow for tests: its home is a temporary directory, its database is never opened."""

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

# Before the first import of Airflow, which reads it once.
os.environ |= {"AIRFLOW_HOME": tempfile.mkdtemp(prefix="airflow-"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}


@pytest.fixture(scope="session")
def bag() -> "DagBag":
    """The DAGs of this project."""
    from parsing import DAGS, parsed  # noqa: PLC0415 it imports Airflow

    # The first time Airflow reads files of its own: templates, plugins.
    parsed(DAGS)
    return parsed(DAGS)[0]
