"""The one way our jobs start Spark (extra `spark`)."""

import os
import sys
from collections.abc import Mapping
from importlib.resources import files

from pyspark.sql import SparkSession

from service_runtime.settings import SparkSettings

LOOPBACK = "127.0.0.1"
LOG_CONFIG = files("service_runtime") / "spark_log4j2.properties"


def spark_session(name: str, settings: SparkSettings, config: Mapping[str, str]) -> SparkSession:
    """Start this process's Spark, which takes some seconds; it ends with `stop()`, and with the process."""
    # Else the workers run whatever `python3` is on PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    local = settings.spark_master.startswith("local")
    level = "info" if settings.log_level == "DEBUG" else "error"
    logging = f"-Dlog4j2.configurationFile={LOG_CONFIG} -Dpinflow.spark.level={level}"
    ours = {
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.driver.extraJavaOptions": logging,
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": str(settings.spark_ui_port is not None).lower(),
        # To be looked at, no more: nobody logs in there.
        "spark.ui.killEnabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    if local:
        ours |= {"spark.driver.bindAddress": LOOPBACK, "spark.driver.host": LOOPBACK}
    if settings.spark_ui_port:
        ours["spark.ui.port"] = str(settings.spark_ui_port)
    if settings.spark_local_dir:
        ours["spark.local.dir"] = str(settings.spark_local_dir)
    builder = SparkSession.Builder().master(settings.spark_master).appName(name)
    return builder.config(map={**ours, **config}).getOrCreate()
