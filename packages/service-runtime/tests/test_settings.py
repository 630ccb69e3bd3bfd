from pathlib import Path

import pytest
from pydantic_settings import SettingsConfigDict
from service_runtime.settings import (
    EX_CONFIG,
    CassandraSettings,
    HttpSettings,
    KafkaSettings,
    S3Settings,
    SettingsError,
)


class ExampleSettings(S3Settings, HttpSettings):
    model_config = SettingsConfigDict(env_prefix="EXAMPLE_")

    flush_max_bytes: int


class LoginSettings(KafkaSettings, CassandraSettings):
    model_config = SettingsConfigDict(env_prefix="LOGIN_")


@pytest.fixture(autouse=True)
def _required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_FLUSH_MAX_BYTES", "10")


def test_a_setting_is_read_from_its_prefixed_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_S3_BUCKET", "archive")
    settings = ExampleSettings.load()
    assert (settings.s3_bucket, settings.flush_max_bytes) == ("archive", 10)


def test_a_secret_is_read_from_the_file_its_variable_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    monkeypatch.setenv("EXAMPLE_S3_SECRET_ACCESS_KEY_FILE", str(tmp_path / "key"))
    settings = ExampleSettings.load()
    assert settings.s3_secret_access_key is not None
    assert settings.s3_secret_access_key.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(settings)


def test_a_variable_and_its_file_together_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bucket").write_text("one")
    monkeypatch.setenv("EXAMPLE_S3_BUCKET", "two")
    monkeypatch.setenv("EXAMPLE_S3_BUCKET_FILE", str(tmp_path / "bucket"))
    with pytest.raises(SettingsError, match="EXAMPLE_S3_BUCKET and EXAMPLE_S3_BUCKET_FILE are both set"):
        ExampleSettings.load()


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXAMPLE_S3_BUCKET_FILE", str(tmp_path / "gone"))
    with pytest.raises(SettingsError, match="gone, which cannot be read"):
        ExampleSettings.load()


def test_every_wrong_variable_is_listed_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EXAMPLE_FLUSH_MAX_BYTES")
    monkeypatch.setenv("EXAMPLE_HTTP_PORT", "70000")
    with pytest.raises(SystemExit) as stopped:
        ExampleSettings.load_or_exit()
    assert stopped.value.code == EX_CONFIG
    complaint = capsys.readouterr().err
    assert "EXAMPLE_FLUSH_MAX_BYTES: Field required" in complaint
    assert "EXAMPLE_HTTP_PORT: Input should be less than or equal to 65535" in complaint


KAFKA, USER, PASSWORD = "LOGIN_KAFKA_SECURITY_PROTOCOL", "LOGIN_KAFKA_USERNAME", "LOGIN_KAFKA_PASSWORD"
ROLE, ROLE_PASSWORD = "LOGIN_CASSANDRA_USERNAME", "LOGIN_CASSANDRA_PASSWORD"


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({KAFKA: "SASL_PLAINTEXT"}, {KAFKA, USER, PASSWORD}),
        ({KAFKA: "SASL_SSL", USER: "me"}, {KAFKA, USER, PASSWORD}),
        ({PASSWORD: "s3cret"}, {KAFKA, USER, PASSWORD}),
        ({KAFKA: "SSL", USER: "me", PASSWORD: "s3cret"}, {KAFKA, USER, PASSWORD}),
        ({KAFKA: "SASL_PLAIN", USER: "me", PASSWORD: "s3cret"}, {KAFKA}),
        ({"LOGIN_KAFKA_CA_FILE": "/nowhere"}, {"LOGIN_KAFKA_CA_FILE"}),
        ({ROLE: "me"}, {ROLE, ROLE_PASSWORD}),
        ({ROLE_PASSWORD: "s3cret"}, {ROLE, ROLE_PASSWORD}),
    ],
)
def test_half_a_login_is_refused_and_names_the_variables(
    told: dict[str, str], named: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        LoginSettings.load()
    complaint = str(refused.value)
    assert {name for name in named if name not in complaint} == set()
    assert "s3cret" not in complaint


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_a_whole_login_is_taken(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {KAFKA: protocol, USER: "me", PASSWORD: "a", ROLE: "me", ROLE_PASSWORD: "b"}.items():
        monkeypatch.setenv(name, value)
    settings = LoginSettings.load()
    assert (settings.kafka_username, settings.cassandra_username) == ("me", "me")
