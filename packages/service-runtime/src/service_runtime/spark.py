"""The one way our jobs start Spark (extra `spark`)."""

import os
import sys
from collections.abc import Mapping
from importlib.resources import files

from pyspark.sql import SparkSession

from service_runtime.settings import SparkSettings

LOOPBACK = "127.0.0.1"
# Libraries that would start threads where Spark's Python workers are forked from, and threads do not fork.
WITHOUT_THREADS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
LOG_CONFIG = files("service_runtime") / "spark_log4j2.properties"


def spark_session(
    name: str, settings: SparkSettings, config: Mapping[str, str], workers: str
) -> SparkSession:
    """Start this process's Spark, which takes some seconds; it ends with `stop()`, and with the process.

    `workers` is a module that imports what the job's Python workers need, and forks them. Else each worker
    imports it again, two seconds of a core, and Spark ends those that were idle for a minute.
    """
    # Else the workers run whatever `python3` is on PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.update(WITHOUT_THREADS)
    local = settings.spark_master.startswith("local")
    level = "info" if settings.log_level == "DEBUG" else "error"
    logging = f"-Dlog4j2.configurationFile={LOG_CONFIG} -Dpinflow.spark.level={level}"
    ours = {
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.driver.extraJavaOptions": logging,
        "spark.python.daemon.module": workers,
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": str(settings.spark_ui_port is not None).lower(),
        # To be looked at, no more: nobody logs in there.
        "spark.ui.killEnabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    ours |= {f"spark.executorEnv.{name}": value for name, value in WITHOUT_THREADS.items()}
    if local:
        ours |= {"spark.driver.bindAddress": LOOPBACK, "spark.driver.host": LOOPBACK}
    if settings.spark_ui_port:
        ours["spark.ui.port"] = str(settings.spark_ui_port)
    if settings.spark_local_dir:
        ours["spark.local.dir"] = str(settings.spark_local_dir)
    builder = SparkSession.Builder().master(settings.spark_master).appName(name)
    return builder.config(map={**ours, **config}).getOrCreate()
