"""Rewrites the repository's lists of jar checksums from fresh downloads."""

import tempfile
import threading
from pathlib import Path

from native_stack import builder, cache
from native_stack.builds import Build
from native_stack.settings import NativeSettings


def refresh(build: Build, settings: NativeSettings) -> None:
    """Download a build's jars and write their SHA-256 to the list that later downloads are held to."""
    if build.checksums is None:
        raise ValueError(f"{build.name} is built here and has no list of checksums")
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory)
        builder.run(build, target, builder.build_log(settings, build.name), threading.Event())
        build.checksums.write_text(cache.format_sums(cache.sha256sums(target)), encoding="utf-8")
