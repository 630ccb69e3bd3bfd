"""The borders between the stages: each says the same thing on both sides."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from batch_etl import ledger, tables
from batch_etl.metrics import BatchMetrics
from batch_etl.settings import BatchSettings
from ingest_api.metrics import IngestMetrics
from ingest_api.openapi import openapi_document
from ingest_api.settings import IngestSettings
from migrations.settings import MigrateSettings
from pin_schema.clean import CleanPin
from pin_schema.raw import RawPin
from pin_schema.spark_types import CLEAN_PIN, RAW_PIN
from pin_schema.wire import WirePin
from prometheus_client import CollectorRegistry
from s3_sink.metrics import SinkMetrics
from s3_sink.settings import SinkSettings
from service_runtime.settings import Settings
from stream_etl.metrics import StreamMetrics
from stream_etl.settings import StreamSettings
from stream_etl.upserts import UPSERTS

REPOSITORY = Path(__file__).parents[2]

CQL_TYPES = {
    "bigint": "int",
    "int": "int",
    "text": "str",
    "uuid": "UUID",
    "boolean": "bool",
    "timestamp": "datetime",
    "frozen<list<text>>": "list",
    "frozen<map<text": "dict",
    "double": "float",
}
SQL_TYPES = {
    "bigint": "int",
    "integer": "int",
    "text": "str",
    "uuid": "UUID",
    "boolean": "bool",
    "timestamptz": "datetime",
    "text[]": "list",
}


ADDED = re.compile(r"(?:ADD COLUMN |ADD IF NOT EXISTS \(?|, )([a-z0-9_]+) ([a-z0-9_<>\[\]]+)")


def columns(ddl: str, table: str, types: dict[str, str]) -> dict[str, str]:
    """Column names and their Python types, as the migrations leave the table."""
    body = re.search(rf"CREATE TABLE (?:IF NOT EXISTS )?{table} \((.*?)\n\);", ddl, re.DOTALL)
    assert body, f"no table {table}"
    lines = [line.strip() for line in body[1].splitlines()]
    found = [
        re.match(r"([a-z0-9_]+) ([a-z0-9_<>\[\]]+)", line) for line in lines if line and line[0].islower()
    ]
    added = re.findall(rf"ALTER TABLE {table}\s([^;]*);", ddl)
    found += [match for clauses in added for match in ADDED.finditer(clauses)]
    return {match[1]: types[match[2]] for match in found if match}


def clean_pin_columns() -> dict[str, str]:
    kinds: dict[str, str] = {}
    for name, field in CleanPin.model_fields.items():
        annotation = str(field.annotation).replace("AwareDatetime", "datetime")
        kinds[name] = next(
            kind for kind in ("list", "UUID", "datetime", "bool", "int", "str") if kind in annotation
        )
    return kinds


def ddl(folder: str) -> str:
    scripts = sorted(Path(str(files("migrations") / folder)).iterdir())
    return "\n".join(script.read_text() for script in scripts)


def test_the_hot_path_decodes_the_fields_of_the_contract() -> None:
    assert WirePin.__struct_fields__ == tuple(RawPin.model_fields)


def test_the_documentation_is_the_contract() -> None:
    assert openapi_document()["components"]["schemas"]["RawPin"] == RawPin.model_json_schema()


def test_the_catalogue_has_the_columns_of_a_clean_pin() -> None:
    assert columns(ddl("cassandra_files"), "pins", CQL_TYPES) == clean_pin_columns() | {"version": "int"}


def test_the_live_table_has_the_columns_of_a_clean_pin() -> None:
    assert columns(ddl("postgres_files"), "pins", SQL_TYPES) == clean_pin_columns() | {"version": "int"}


def test_spark_has_the_columns_of_both_models() -> None:
    assert RAW_PIN.names == list(RawPin.model_fields)
    assert CLEAN_PIN.names == list(CleanPin.model_fields)


def test_the_batch_job_writes_every_column_of_the_catalogue() -> None:
    for table in (tables.PINS, tables.REJECTED):
        assert set(table.columns) == columns(ddl("cassandra_files"), table.name, CQL_TYPES).keys()


def test_the_batch_job_writes_every_column_of_its_ledger() -> None:
    made = ddl("cassandra_files")
    assert set(ledger.OBJECT_COLUMNS) == columns(made, "etl_objects", CQL_TYPES).keys()
    assert set(ledger.RUN_COLUMNS) == columns(made, "etl_runs", CQL_TYPES).keys()


@pytest.mark.parametrize("table", UPSERTS)
def test_the_streaming_job_writes_every_column_with_its_type(table: str) -> None:
    made = columns(ddl("postgres_files"), table, SQL_TYPES)
    assert {name: SQL_TYPES[kind] for name, kind in UPSERTS[table].columns.items()} == made


def test_services_use_the_topics_that_migrations_create() -> None:
    listed = tomllib.loads((files("migrations") / "topics.toml").read_text())["topics"]
    topic = MigrateSettings.model_fields["kafka_topic"].default
    created = {entry["name"].format(topic=topic) for entry in listed}
    used = {
        IngestSettings.model_fields["kafka_topic"].default,
        SinkSettings.model_fields["kafka_topic"].default,
        BatchSettings.model_fields["kafka_topic"].default,
        StreamSettings.model_fields["kafka_topic"].default,
        SinkSettings.model_fields["kafka_dead_letter_topic"].default,
    }
    assert used == created


def test_pins_are_dated_by_the_broker() -> None:
    listed = tomllib.loads((files("migrations") / "topics.toml").read_text())["topics"]
    (pins,) = [entry for entry in listed if entry["name"] == "{topic}"]
    assert pins["config"]["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize(
    ("settings", "readme"),
    [
        (IngestSettings, "services/ingest-api/README.md"),
        (SinkSettings, "services/s3-sink/README.md"),
        (BatchSettings, "services/batch-etl/README.md"),
        (StreamSettings, "services/stream-etl/README.md"),
        (MigrateSettings, "deploy/migrations/README.md"),
    ],
)
def test_every_setting_is_in_its_readme(settings: type[Settings], readme: str) -> None:
    text = (REPOSITORY / readme).read_text()
    prefix = settings.model_config["env_prefix"]
    variables = {f"{prefix}{name}".upper() for name in settings.model_fields}
    assert variables - set(re.findall(r"[A-Z][A-Z0-9_]+", text)) == set()


def metric_names() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for metrics in (IngestMetrics, SinkMetrics, BatchMetrics, StreamMetrics):
        registry = CollectorRegistry()
        metrics(registry)
        found |= {metric.name: metric for metric in registry.collect()}
    return found


def test_metrics_have_our_prefix_and_say_what_they_mean() -> None:
    for name, metric in metric_names().items():
        assert re.match("pinflow_(ingest|sink|batch|stream)_", name)
        assert len(metric.documentation) > 10
        assert "_ms" not in name, "base units only"
