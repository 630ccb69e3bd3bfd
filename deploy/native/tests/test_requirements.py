from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from native_stack import requirements
from native_stack.errors import MissingRequirementError


def a_java(home: Path, version: str) -> Path:
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "java").touch(mode=0o755)
    (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return home


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without anything, whose user is not root."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(requirements, "JVM_DIR", tmp_path / "jvm")
    monkeypatch.setattr(requirements, "SERVICE_POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    return tmp_path


def test_a_jdk_17_is_found_beside_a_newer_one(machine: Path) -> None:
    a_java(machine / "jvm" / "a-25", "25.0.1")
    home = a_java(machine / "jvm" / "b-17", "17.0.15")
    assert requirements.find_java() == home / "bin" / "java"


def test_java_home_goes_first(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_java(machine / "jvm" / "17", "17.0.1")
    mine = a_java(machine / "mine", "17.0.2")
    monkeypatch.setenv("JAVA_HOME", str(mine))
    assert requirements.find_java() == mine / "bin" / "java"


def test_a_link_on_path_leads_to_its_installation(machine: Path) -> None:
    home = a_java(machine / "opt" / "jdk", "17.0.1")
    (machine / "bin").mkdir()
    (machine / "bin" / "java").symlink_to(home / "bin" / "java")
    assert requirements.find_java() == home / "bin" / "java"


def test_another_java_is_named_in_the_message(machine: Path) -> None:
    home = a_java(machine / "jvm" / "25", "25.0.1")
    with pytest.raises(MissingRequirementError) as caught:
        requirements.find_java()
    assert f"need Java 17, found 25.0.1 in {home}" in str(caught.value)
    assert "apt-get install openjdk-17-jre-headless" in str(caught.value)


def test_no_maven_says_how_to_get_it(machine: Path) -> None:
    with pytest.raises(MissingRequirementError, match="apt-get install maven"):
        requirements.find_maven()


def test_no_uv_says_how_to_start(machine: Path) -> None:
    with pytest.raises(MissingRequirementError, match="deploy/uv run native"):
        requirements.find_uv()


def test_the_uv_that_runs_us_is_used(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV", "/opt/uv")
    assert requirements.find_uv() == Path("/opt/uv")


def an_apt_get(machine: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """A Debian of root's, whose apt-get is a script."""
    bin_dir = machine / "bin"
    bin_dir.mkdir()
    (bin_dir / "apt-get").write_text(f"#!/bin/sh\n{script}\n")
    (bin_dir / "apt-get").chmod(0o755)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return bin_dir


def test_root_on_debian_gets_what_is_missing(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mvn = machine / "bin" / "mvn"
    bin_dir = an_apt_get(
        machine, monkeypatch, f'case "$*" in *maven*) echo > {mvn}; /bin/chmod +x {mvn};; esac'
    )
    assert requirements.find_maven() == bin_dir / "mvn"


def test_two_builds_that_miss_the_same_install_it_once(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mvn, locked = machine / "bin" / "mvn", machine / "locked"
    script = f"""
        case "$*" in *maven*)
            /bin/mkdir {locked} || exit 100
            /bin/sleep 0.3; echo > {mvn}; /bin/chmod +x {mvn}; /bin/rmdir {locked};;
        esac"""
    an_apt_get(machine, monkeypatch, script)
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(requirements.find_maven) for _ in range(2)]
        assert [future.result() for future in found] == [mvn, mvn]


def test_what_apt_get_complains_of_is_passed_on(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    an_apt_get(machine, monkeypatch, "echo 'E: no route to the archive' >&2; exit 100")
    with pytest.raises(MissingRequirementError, match=r"could not: E: no route to the archive"):
        requirements.find_maven()


def test_debians_name_of_alertmanager_is_as_good(machine: Path) -> None:
    (machine / "bin").mkdir()
    alertmanager = machine / "bin" / "prometheus-alertmanager"
    alertmanager.touch(mode=0o755)
    assert requirements.find_observer("alertmanager") == alertmanager


def test_no_promtool_names_the_package_that_has_it(machine: Path) -> None:
    with pytest.raises(MissingRequirementError, match=r"no promtool on PATH: .*apt-get install prometheus"):
        requirements.find_observer("promtool")


def test_what_is_installed_starts_no_service_of_the_machine(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, prometheus = machine / "policy-rc.d", machine / "bin" / "prometheus"
    script = f"{policy}; [ $? = 101 ] || exit 100; echo > {prometheus}; /bin/chmod +x {prometheus}"
    an_apt_get(machine, monkeypatch, script)
    assert requirements.find_observer("prometheus") == prometheus
    assert not policy.exists()


def test_a_policy_of_the_machine_stays(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "policy-rc.d").write_text("mine")
    an_apt_get(machine, monkeypatch, "exit 100")
    with pytest.raises(MissingRequirementError):
        requirements.find_observer("prometheus")
    assert (machine / "policy-rc.d").read_text() == "mine"
