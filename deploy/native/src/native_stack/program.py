"""What a program of the stack is: one class a program says how it is built, started, fed and asked."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import ClassVar

from native_stack.builds import CONFIG, Build
from native_stack.credentials import Credentials
from native_stack.errors import NativeError
from native_stack.settings import NativeSettings


class NotReady(Exception):  # noqa: N818  # not an error: the answer "not yet" with its reason
    """The program does not do its work yet; the message says why."""


@dataclass(frozen=True)
class Context:
    """What every program is told: the settings, the secrets, its neighbours and the user's own variables."""

    settings: NativeSettings
    credentials: Credentials
    programs: frozenset[str] = frozenset()
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Program:
    """One process under the supervisor."""

    name: ClassVar[str]
    purpose: ClassVar[str]
    ports: ClassVar[tuple[str, ...]] = ()
    "Fields of NativeSettings; the first one is where clients go."
    builds: ClassVar[tuple[Build, ...]] = ()
    one_shot: ClassVar[bool] = False
    "Done when it exits with 0; tried again after a crash, not after a refusal."
    refusals: ClassVar[tuple[int, ...]] = ()
    stop_signal: ClassVar[str] = "TERM"

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = context.settings

    def command(self) -> list[str]:
        """Return the program and its arguments."""
        raise NotImplementedError

    def own_environment(self) -> dict[str, str]:
        """Return the variables the stack sets for it."""
        return {}

    def environment(self) -> dict[str, str]:
        """Return all its variables: the stack's, then the user's, which win."""
        overrides = self.context.overrides.get(self.name, {})
        # X and X_FILE name one setting, and a service refuses to be given both.
        named = {variable.removesuffix("_FILE") for variable in overrides}
        own = {
            name: value
            for name, value in self.own_environment().items()
            if name.removesuffix("_FILE") not in named
        }
        return own | dict(overrides)

    def prepare(self) -> None:
        """Make what must exist before it first starts; called before every start."""

    def probe(self) -> None:
        """Return when it does its work; raise NotReady with the reason when it does not."""
        raise NotImplementedError

    def inputs(self) -> Iterable[Path]:
        """Return the files whose change calls for a restart."""
        directory = self.settings.config_dir(self.name)
        return sorted(directory.iterdir()) if directory.is_dir() else []

    @property
    def port(self) -> int:
        """Where clients go."""
        return self.port_numbers()[self.ports[0]]

    @property
    def address(self) -> str:
        """Host and port of where clients go."""
        return f"127.0.0.1:{self.port}"

    def port_numbers(self) -> dict[str, int]:
        """Return the port of every field it listens on."""
        return {name: getattr(self.settings, name) for name in self.ports}

    @property
    def config_dir(self) -> Path:
        """Where its configuration is written."""
        return self.settings.config_dir(self.name)

    @property
    def data_dir(self) -> Path:
        """Where it keeps what must survive a restart."""
        return self.settings.data_dir(self.name)

    @property
    def log(self) -> Path:
        """Where the supervisor writes what it says."""
        return self.settings.log_dir / f"{self.name}.log"

    def render_config(self, *names: str, **values: object) -> None:
        """Write its configuration files with ports, directories and the given values filled in."""
        shutil.rmtree(self.config_dir, ignore_errors=True)
        self.config_dir.mkdir(parents=True)
        known = {"config_dir": self.config_dir, "data_dir": self.data_dir} | self.port_numbers() | values
        for name in names:
            template = (CONFIG / self.name / name).read_text(encoding="utf-8")
            (self.config_dir / name).write_text(_fill(name, template, known), encoding="utf-8")


def wheel_dir(package: str) -> Path:
    """Return where an installed package lies, without importing it: some do things when imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise NativeError(f"the package {package} is not installed here: run `uv sync`")
    return Path(spec.origin).parent


def _fill(name: str, template: str, values: Mapping[str, object]) -> str:
    try:
        return Template(template).substitute(values)
    except (KeyError, ValueError) as error:
        raise ValueError(f"template {name}: {error}") from error
