"""What the host clones: this tree as it is now, and a revision after it."""

import os
import shutil
from pathlib import Path

from native_stack.settings import REPOSITORY

from cloud.network import run

FIRST, SECOND = "v1", "v2"
NAME = "pinflow.git"


def publish(directory: Path) -> None:
    """Make the repository NAME in the directory, with the tags FIRST and SECOND."""
    tree = directory / "tree"
    listed = run("git", "-C", str(REPOSITORY), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (source := REPOSITORY / name).is_file():
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    git = ("git", "-C", str(tree), "-c", "user.name=tests", "-c", "user.email=tests@localhost")
    run(*git, "init", "--quiet")
    for tag in (FIRST, SECOND):
        with (tree / "README.md").open("a") as readme:
            readme.write(os.linesep)
        run(*git, "add", "--all", "--force")
        run(*git, "commit", "--quiet", "--message", tag)
        run(*git, "tag", tag)
    run("git", "clone", "--quiet", "--bare", str(tree), str(directory / NAME))
