"""The `dashboards` command: writes the JSON files that are committed and mounted into Grafana."""

from pathlib import Path

from dashboards.queries import DASHBOARDS
from dashboards.render import render

FOLDER = Path(__file__).resolve().parents[2] / "grafana" / "dashboards"


def files() -> dict[Path, str]:
    """Return what each file should hold."""
    return {FOLDER / f"{dashboard.uid}.json": render(dashboard) for dashboard in DASHBOARDS}


def main() -> None:
    """Write them all, and remove those of dashboards that are no more."""
    wanted = files()
    for old in set(FOLDER.glob("*.json")) - wanted.keys():
        old.unlink()
    for path, content in wanted.items():
        path.write_text(content, encoding="utf-8")
