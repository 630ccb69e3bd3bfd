"""A host can fetch what is deployed."""

import subprocess
from pathlib import Path

import pytest
from cloud_stack import origin
from cloud_stack.errors import StackError
from cloud_stack.origin import address, by_https, pushed_head


def git(*arguments: str | Path) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    return subprocess.run(
        ["git", *who, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with one commit that nobody has pushed."""
    git("init", "--quiet", "--bare", tmp_path / "origin")
    git("clone", "--quiet", tmp_path / "origin", tmp_path / "clone")
    git("-C", tmp_path / "clone", "commit", "--quiet", "--allow-empty", "--message", "first")
    monkeypatch.setattr(origin, "HERE", tmp_path / "clone")
    return tmp_path / "clone"


def test_a_head_that_nobody_pushed_is_refused(clone: Path) -> None:
    with pytest.raises(StackError, match="no host can fetch it: push it, or name another by --revision"):
        pushed_head()


@pytest.mark.parametrize("what", ["HEAD:refs/heads/main", "v1"])
def test_a_pushed_branch_or_tag_is_deployed_by_its_whole_commit(clone: Path, what: str) -> None:
    git("-C", clone, "tag", "--annotate", "--message", "one", "v1")
    git("-C", clone, "push", "--quiet", "origin", what)
    assert pushed_head() == git("-C", clone, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    "remote",
    [
        "https://git.example.org/team/pinflow.git",
        "https://user:token@git.example.org/team/pinflow.git",
        "git@git.example.org:team/pinflow.git",
        "ssh://git@git.example.org/team/pinflow.git",
        "ssh://git@git.example.org:2222/team/pinflow.git",
    ],
)
def test_a_remote_is_cloned_by_https_and_without_a_login(remote: str) -> None:
    assert by_https(remote) == "https://git.example.org/team/pinflow.git"


@pytest.mark.parametrize(
    "remote",
    ["/srv/git/pinflow", "file:///srv/pinflow", "http://git.example.org/x", "https://git.example.org:8443/x"],
)
def test_any_other_remote_is_refused(remote: str) -> None:
    with pytest.raises(StackError, match="a host clones by https: name an address by --repository"):
        by_https(remote)


def test_without_a_remote_an_address_is_asked_for(clone: Path) -> None:
    git("-C", clone, "remote", "remove", "origin")
    with pytest.raises(StackError, match="no remote `origin` to clone from: name one by --repository"):
        address()
