"""The layout keeps its promises: arrows point one way, stops have pages, every module imports."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_sink.stops import PartitionStop
from stream_etl.stops import StreamStop

REPOSITORY = Path(__file__).parents[2]
# What each package may import of ours. An arrow that is not here is a design decision, not an oversight.
ARROWS = {
    "pin_schema": set[str](),
    "service_runtime": set[str](),
    "pin_emulator": set[str](),
    "ingest_api": {"pin_schema", "service_runtime"},
    "s3_sink": {"pin_schema", "service_runtime"},
    "batch_etl": {"pin_schema", "service_runtime"},
    "stream_etl": {"pin_schema", "service_runtime"},
    "migrations": {"service_runtime"},
    "reconcile": {"pin_schema", "service_runtime", "pin_emulator", "migrations"},
    "dashboards": set[str](),
    "cloud_stack": set[str](),
    "native_stack": {"pin_schema", "service_runtime", "pin_emulator", "migrations"},
}


def sources() -> Iterator[Path]:
    for root in ("packages", "services", "deploy"):
        yield from sorted((REPOSITORY / root).glob("*/src/**/*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(next(parent for parent in path.parents if parent.name == "src")).with_suffix("")
    return ".".join(part for part in parts.parts if part != "__init__")


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def test_packages_import_only_along_the_arrows() -> None:
    for path in sources():
        package = module_of(path).partition(".")[0]
        found = imported(path) & ARROWS.keys() - {package}
        assert found <= ARROWS[package], f"{path} imports {found - ARROWS[package]}"


@pytest.mark.parametrize("module", [module_of(path) for path in sources() if path.name != "__main__.py"])
def test_every_module_imports_without_an_environment(module: str) -> None:
    importlib.import_module(module)


@pytest.mark.parametrize(
    ("service", "stop", "least"), [("sink", PartitionStop, 5), ("stream", StreamStop, 3)]
)
def test_every_named_stop_has_its_runbook(
    service: str, stop: type[PartitionStop | StreamStop], least: int
) -> None:
    reasons = {each.reason for each in stop.__subclasses__()}
    assert len(reasons) >= least
    for reason in reasons:
        page = (REPOSITORY / f"docs/runbooks/{service}-{reason}.md").read_text()
        assert reason in page


def test_every_runbook_is_found_from_its_symptom() -> None:
    index = (REPOSITORY / "docs/runbooks/README.md").read_text()
    pages = {page.name for page in (REPOSITORY / "docs/runbooks").glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"({page})" not in index} == set()


def test_links_between_documents_lead_somewhere() -> None:
    pages = [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("docs/**/*.md"))]
    pages += sorted(REPOSITORY.glob("tests/*/README.md"))
    pages += sorted(
        path
        for root in ("packages", "services", "deploy")
        for path in (REPOSITORY / root).glob("*/README.md")
    )
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_decisions_are_short() -> None:
    decisions = sorted(REPOSITORY.glob("docs/decisions/*.md"))
    assert decisions
    for page in decisions:
        assert len(page.read_text().splitlines()) <= 60, page.name


def test_every_must_and_should_is_cited_by_a_test() -> None:
    stated = set(
        re.findall(r"^(\d+)\. (?:Must|Should) ", (REPOSITORY / "docs/architecture.md").read_text(), re.M)
    )
    assert stated == {str(number) for number in range(1, len(stated) + 1)}
    tests = [path for path in REPOSITORY.glob("*/**/test_*.py") if ".venv" not in path.parts]
    cited = {
        number
        for path in tests
        for numbers in re.findall(r"^pytestmark = pytest\.mark\.must\(([\d, ]+)\)", path.read_text(), re.M)
        for number in numbers.split(", ")
    }
    assert cited == stated
