from pathlib import Path

import pytest
from native_stack.settings import REPOSITORY, NativeSettings
from service_runtime.settings import SettingsError

PORTS = [name for name in NativeSettings.model_fields if name.endswith("_port")]


def ports_of(settings: NativeSettings) -> list[int]:
    return [getattr(settings, name) for name in PORTS]


def test_the_default_state_stands_in_the_repository() -> None:
    assert (REPOSITORY / "uv.lock").exists()
    assert NativeSettings().state_dir == REPOSITORY / ".local"


def test_test_settings_have_distinct_ports_apart_from_the_usual_ones(tmp_path: Path) -> None:
    settings = NativeSettings.for_tests(tmp_path)
    ports = ports_of(settings)
    assert len(set(ports)) == len(PORTS)
    assert not set(ports) & set(ports_of(NativeSettings()))
    assert settings.state_dir == tmp_path


def test_the_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert NativeSettings().cache_dir == tmp_path / "pinflow"


def test_a_state_directory_too_deep_for_a_socket_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINFLOW_STATE_DIR", "/" + "x" * 90)
    with pytest.raises(SettingsError, match=r"PINFLOW_STATE_DIR: .*at most 75 bytes"):
        NativeSettings.load()


def test_a_directory_with_a_space_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINFLOW_CACHE_DIR", "/tmp/my cache")
    with pytest.raises(SettingsError, match=r"PINFLOW_CACHE_DIR: .*plainer path"):
        NativeSettings.load()


def test_a_field_names_its_variable() -> None:
    assert NativeSettings().variable("kafka_port") == "PINFLOW_KAFKA_PORT"
