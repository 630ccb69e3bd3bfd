import re
import sys
import threading
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest
from native_stack import builder
from native_stack.builds import BUILDS, CASSANDRA, KAFKA, SPARK, VERSITYGW, Build
from native_stack.cache import Cancelled
from native_stack.display import Silent
from native_stack.errors import BuildError
from native_stack.program import wheel_dir
from native_stack.settings import NativeSettings


def a_build(name: str, script: str) -> Build:
    return Build(name, "1", (), lambda target: [sys.executable, "-c", script, str(target)])


WRITES = "import sys, pathlib; pathlib.Path(sys.argv[1], 'out').write_text('x')"


@pytest.fixture
def settings(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> NativeSettings:
    settings = NativeSettings.for_tests(tmp_path_factory.mktemp("state"))
    return settings.model_copy(update={"cache_dir": tmp_path / "cache"})


def test_every_downloaded_jar_is_listed_with_its_checksum() -> None:
    for build in (KAFKA, CASSANDRA, SPARK):
        pinned = build.pinned()
        assert pinned
        assert all(len(digest) == 64 for digest in pinned.values())
    assert "kafka_2.13-4.4.0.jar" in (KAFKA.pinned() or {})
    assert "cassandra-all-5.0.8.jar" in (CASSANDRA.pinned() or {})


def test_the_broker_comes_with_a_logging_binding() -> None:
    assert any(name.startswith("log4j-slf4j-impl-") for name in KAFKA.pinned() or {})


def test_the_connector_is_pysparks_version_and_brings_nothing_that_pyspark_has() -> None:
    assert SPARK.version == version("pyspark")
    connector = {re.sub(r"-[\d.]+\.jar$", "", name) for name in SPARK.pinned() or {}}
    assert "spark-sql-kafka-0-10_2.13" in connector
    has = {re.sub(r"-[\d.]+\.jar$", "", path.name) for path in (wheel_dir("pyspark") / "jars").iterdir()}
    assert connector & has == set()


def test_versions_match_what_the_inputs_name() -> None:
    for build in BUILDS:
        assert any(build.version in path.read_text() for path in build.inputs)


def test_the_toolchain_counts_for_the_key() -> None:
    assert replace(VERSITYGW, salt="another").key != VERSITYGW.key


def test_builds_run_side_by_side(settings: NativeSettings) -> None:
    builds = [a_build(name, f"import time; time.sleep(1); {WRITES}") for name in ("a", "b", "c")]
    started = time.monotonic()
    builder.build_all(builds, settings, Silent())
    assert time.monotonic() - started < 2.5
    assert all((build.entry(settings.cache_dir) / "out").exists() for build in builds)


def test_a_failed_build_shows_the_end_of_its_log_and_where_it_is(settings: NativeSettings) -> None:
    with pytest.raises(BuildError) as caught:
        builder.build_all([a_build("bad", "raise SystemExit('no route to host')")], settings, Silent())
    assert "no route to host" in str(caught.value)
    assert str(settings.log_dir / "build-bad.log") in str(caught.value)


def test_a_failure_calls_the_other_builds_off(settings: NativeSettings) -> None:
    slow = a_build("slow", "import time; time.sleep(60)")
    started = time.monotonic()
    with pytest.raises(BuildError, match="building bad"):
        builder.build_all([slow, a_build("bad", "raise SystemExit(1)")], settings, Silent())
    assert time.monotonic() - started < 20
    assert not slow.entry(settings.cache_dir).exists()


def test_a_cancelled_build_leaves_no_process(tmp_path: Path) -> None:
    cancel = threading.Event()
    threading.Timer(0.5, cancel.set).start()
    build = a_build("slow", "import subprocess; subprocess.run(['sleep', '60'])")
    with pytest.raises(Cancelled):
        builder.run(build, tmp_path, tmp_path / "log", cancel)
    # Other tests may have left children of their own, a JVM for one.
    left = [process.name() for process in psutil.Process().children(recursive=True)]
    assert "sleep" not in left
