"""Take the pictures of the DAGs' pages anew, of a running Airflow, in a real browser.

It needs Chromium, and of each DAG a run that went well; it tells what is missing. It starts no run itself.

    make start         # brings up the stack, by a run of pins_runtime
    make screenshots   # then look at docs/screenshots/*.png before you commit them
    make screenshots ARGS="--address http://127.0.0.1:18080 --password-file /elsewhere/airflow-admin-password"
"""

import argparse
import io
import json
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import BrowserContext, Error, Page, Playwright, sync_playwright
from playwright.sync_api import TimeoutError as NotShown

HERE = Path(__file__).resolve().parent
ADDRESS = "http://127.0.0.1:8080"
PASSWORD_FILE = HERE.parents[1] / "deploy/compose/secrets/airflow-admin-password"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1440, 900
PATIENCE_MS = 30_000
PAUSE_MS = 500
MOST_SHOTS = 20
# The small map of a graph lies over its last task.
STYLE = ".react-flow__minimap { display: none }"
TRIGGER = "docker compose exec airflow-scheduler airflow dags trigger"


class CannotTake(Exception):  # noqa: N818 (a state of the machine)
    """Something is missing; the message says what, and where to get it."""


@dataclass(frozen=True)
class Picture:
    """A page, and a text (a regular expression) that is on it once it is worth a picture.

    `left_as` is how a person left such pages: what they keep in the browser's local storage.
    """

    name: str
    path: str
    awaited: str
    left_as: Mapping[str, object] = field(default_factory=dict)
    at_its_end: bool = False


class Airflow:
    """A running Airflow, as a browser has it that is logged in."""

    def __init__(self, browser: BrowserContext) -> None:
        self._browser = browser

    def log_in(self, address: str, password_file: Path) -> None:
        """Get a token, and keep it where the pages look for it."""
        login = {"username": "admin", "password": password(password_file)}
        try:
            answer = self._browser.request.post("/auth/token", data=login)
        except Error as error:
            why = error.message.splitlines()[0]
            raise CannotTake(f"nobody answers at {address} ({why}); this starts it: make start") from None
        if not answer.ok:
            raise CannotTake(
                f"{address} answers {answer.status} to the password in {password_file}: is that its own?"
            )
        token = answer.json()["access_token"]
        self._browser.add_cookies([{"name": "_token", "value": token, "url": address}])

    def last_good_run(self, dag_id: str, task_id: str, how: str) -> str:
        """Return the page of the last run that went well, and in which the task had something to do."""
        query = f"?task_id={task_id}&state=success&order_by=-start_date"
        for task in self._ask(f"/dags/{dag_id}/dagRuns/~/taskInstances{query}")["task_instances"]:
            run = quote(task["dag_run_id"], safe="")
            if self._ask(f"/dags/{dag_id}/dagRuns/{run}")["state"] == "success":
                return f"/dags/{dag_id}/runs/{run}"
        raise CannotTake(
            f"{dag_id} has no good run yet in which {task_id} did something; this makes one: {how}"
        )

    def _ask(self, path: str) -> Any:
        answer = self._browser.request.get(f"/api/v2{path}")
        if not answer.ok:
            raise CannotTake(f"Airflow answers {answer.status} to {path}: {answer.text()[:200]}")
        return answer.json()

    def shoot(self, picture: Picture) -> bytes:
        """Open a page, wait for its content, and return it as a PNG."""
        page = self._browser.new_page()
        kept = json.dumps({key: json.dumps(value) for key, value in picture.left_as.items()})
        page.add_init_script(
            f"for (const [key, value] of Object.entries({kept})) localStorage.setItem(key, value)"
        )
        try:
            page.goto(picture.path)
            page.get_by_text(re.compile(picture.awaited)).first.wait_for()
        except NotShown:
            seconds = PATIENCE_MS // 1000
            raise CannotTake(f"{page.url} does not show {picture.awaited!r} within {seconds} s") from None
        if picture.at_its_end:
            page.mouse.move(WIDTH / 2, HEIGHT / 2)
            page.mouse.wheel(0, HEIGHT)
        shot = settled(page)
        page.close()
        return shot


def main() -> None:
    """Take them all; end with 1 and a sentence when something is missing."""
    options = arguments()
    try:
        with sync_playwright() as playwright:
            airflow = Airflow(browser(playwright, options.address))
            airflow.log_in(options.address, options.password_file)
            for picture in pictures(airflow):
                say(keep(airflow.shoot(picture), HERE / f"{picture.name}.png"))
    except CannotTake as missing:
        sys.exit(f"screenshots: {missing}")


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--address", default=ADDRESS, help="of Airflow (default: %(default)s)")
    parser.add_argument(
        "--password-file",
        type=Path,
        default=PASSWORD_FILE,
        help="holds the password of admin (default: deploy/compose/secrets/airflow-admin-password)",
    )
    return parser.parse_args()


def password(file: Path) -> str:
    """Read it; raises CannotTake where there is none."""
    try:
        return file.read_text().strip()
    except OSError as error:
        raise CannotTake(
            f"no password in {file} ({error.strerror}): make secrets, or --password-file with its place"
        ) from None


def browser(playwright: Playwright, address: str) -> BrowserContext:
    """Start Chromium with a window in which every picture looks the same on every machine."""
    found = [path for path in map(shutil.which, BROWSERS) if path]
    if not found:
        raise CannotTake(f"no browser ({', '.join(BROWSERS)}); on Debian: apt-get install chromium")
    context = playwright.chromium.launch(executable_path=found[0]).new_context(
        base_url=address,
        viewport={"width": WIDTH, "height": HEIGHT},
        color_scheme="light",
        locale="en-GB",
        timezone_id="UTC",
    )
    context.set_default_timeout(PATIENCE_MS)
    return context


def pictures(airflow: Airflow) -> list[Picture]:
    """What is worth a picture, in the order of docs/operations.md."""
    runtime = airflow.last_good_run("pins_runtime", "migrations", "make start")
    batch = airflow.last_good_run("pins_batch", "load", f"{TRIGGER} pins_batch")
    health = airflow.last_good_run(
        "pins_health", "mend", f"docker compose stop redis-exporter && {TRIGGER} pins_health"
    )
    comparison = airflow.last_good_run("pins_redis_comparison", "compare", f"{TRIGGER} pins_redis_comparison")
    graph = {
        "default_dag_view": "graph",
        "pins_runtime/open-groups": ["servers", "services", "observers"],
        **divided("graph", 77),
    }
    log = {"default_dag_view": "grid", **divided("grid", 29)}
    return [
        Picture("dags", "/dags", "pins_runtime", at_its_end=True),
        Picture("pins_runtime", runtime, "^success$", graph),
        Picture("pins_batch", f"{batch}/tasks/load", "batch-etl ended with 0", log),
        Picture("pins_health", f"{health}/tasks/mend", r"restart \d of \d", log),
        Picture("pins_redis_comparison", f"{comparison}/tasks/compare", r"total +[\d.]+ +[\d.]+", log),
    ]


def divided(view: str, percent: int) -> dict[str, object]:
    """How a DAG's page is divided: the width of its left half."""
    layout = {"expandToSizes": {}, "layout": [percent, 100 - percent]}
    return {f"react-resizable-panels:{view}-ltr": {"details-panel,main-panel": layout}}


def settled(page: Page) -> bytes:
    """Shoot until two pictures in a row are the same: graphs move into place, logs scroll to their end."""
    before = b""
    for _ in range(MOST_SHOTS):
        shot: bytes = page.screenshot(style=STYLE, animations="disabled")
        if shot == before:
            break
        before = shot
        page.wait_for_timeout(PAUSE_MS)
    return before


def keep(png: bytes, file: Path) -> str:
    """Write a picture with a palette, which makes it a third of the size, and return what was written."""
    # This choice of 256 colours keeps the rare ones, those of states; kmeans keeps the others true.
    best = Image.open(io.BytesIO(png)).convert("RGB").quantize(method=Image.Quantize.MAXCOVERAGE, kmeans=1)
    best.save(file, optimize=True)
    return f"{file} {file.stat().st_size // 1000} kB"


def say(text: str) -> None:
    """Tell the person who waits."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
