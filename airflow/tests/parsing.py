"""Reading a folder of DAGs as the DAG processor does, and hearing what doing so reaches for."""

import sys
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag

REPOSITORY = Path(__file__).parents[2]
DAGS = REPOSITORY / "airflow/dags"
FORBIDDEN = {
    "socket.connect",
    "socket.getaddrinfo",
    "socket.sendto",
    "subprocess.Popen",
    "os.system",
    "os.exec",
}
_reached: list[str] | None = None


def _heard(event: str, arguments: tuple[object, ...]) -> None:
    if _reached is None:
        return
    if event in FORBIDDEN or (event == "open" and not _is_code(arguments)):
        _reached.append(f"{event}{arguments}")


def _is_code(arguments: tuple[object, ...]) -> bool:
    """Whether an opened file is a module, read."""
    path, mode = str(arguments[0]), str(arguments[1])
    return mode in {"r", "rb", "None"} and path.endswith((".py", ".pyc", ".so", "/dags"))


# Nothing in Python takes such a hook away again: it listens while `parsed` asks it to.
sys.addaudithook(_heard)


def parsed(folder: Path) -> tuple[DagBag, list[str]]:
    """Read a folder of DAGs as the DAG processor does; return them, and what doing so reached for."""
    global _reached  # noqa: PLW0603
    _reached = []
    try:
        bag = DagBag(folder)
        return bag, _reached
    finally:
        _reached = None
