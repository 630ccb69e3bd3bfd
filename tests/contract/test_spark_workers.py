"""What Spark's Python workers are forked from: a fork copies one thread, and the locks of all."""

import os
import subprocess
import sys

import pytest
from service_runtime.spark import WITHOUT_THREADS


@pytest.mark.parametrize("module", ["stream_etl.spark_workers", "batch_etl.spark_workers"])
@pytest.mark.parametrize(("variables", "threads"), [(WITHOUT_THREADS, 1), ({}, 3)], ids=["ours", "none"])
def test_its_imports_start_no_thread_under_our_variables(
    module: str, variables: dict[str, str], threads: int
) -> None:
    code = f"import os, {module}; print(len(os.listdir('/proc/self/task')))"
    clean = {name: value for name, value in os.environ.items() if name not in WITHOUT_THREADS}
    counted = subprocess.check_output([sys.executable, "-c", code], env=clean | variables)
    assert int(counted) == threads
