"""What a host is to run: a commit that it can fetch, and from where."""

import re
import subprocess
from urllib.parse import urlsplit

from cloud_stack.errors import StackError
from cloud_stack.template import HERE

_SSH = re.compile(r"(?:ssh://)?[\w.-]+@(?P<host>[\w.-]+)(?::\d+/|[:/])(?P<path>[\w./~-]+)")


def pushed_head() -> str:
    """Return the commit of HEAD; raise StackError when no host could fetch it."""
    commit = _git("rev-parse", "HEAD")
    in_branch = _git("branch", "--remotes", "--contains", commit)
    if not in_branch and commit not in _git("ls-remote", "--tags", "origin"):
        raise StackError(
            f"no branch or tag of the remote has HEAD, {commit[:12]}, so that no host can fetch it: push it, "
            "or name another by --revision (make deploy REVISION=…)"
        )
    return commit


def address() -> str:
    """Return the address of the remote `origin` as anybody clones it."""
    try:
        remote = _git("remote", "get-url", "origin")
    except StackError as error:
        raise StackError(
            "there is no remote `origin` to clone from: name one by --repository (make deploy REPOSITORY=…)"
        ) from error
    return by_https(remote)


def by_https(remote: str) -> str:
    """Return a remote's address by https and without a login."""
    parts = urlsplit(remote)
    if parts.scheme == "https" and parts.hostname and not parts.port:
        return f"https://{parts.hostname}{parts.path}"
    if found := _SSH.fullmatch(remote):
        return f"https://{found['host']}/{found['path']}"
    raise StackError(
        f"the remote `origin` is {remote}, and a host clones by https: name an address by --repository "
        "(make deploy REPOSITORY=https://…)"
    )


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(HERE), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 (all ours)
    if done.returncode:
        raise StackError(f"git {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout.strip()
