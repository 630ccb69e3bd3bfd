from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from pin_emulator import reference as dataset
from pin_emulator.counts import REFERENCE_COUNTS
from pin_schema import reference
from pin_schema.clean import CleanPin
from pin_schema.reference_windows import windows
from reconcile.demo import counts, show
from reconcile.demo.counts import Found
from reconcile.demo.run import Run
from reconcile.errors import DemoError
from reconcile.offsets import OffsetRange
from reconcile.rejected import RejectedPin
from rich.console import Console

SPAN = OffsetRange({0: 100}, {0: 100 + REFERENCE_COUNTS.posted})
LOG = "t1a2b3c4d"
RUN = Run(REFERENCE_COUNTS.posted, LOG, {(0, 100), (0, 101)}, SPAN)


@pytest.fixture(scope="module")
def found() -> Found:
    """What the stores hold when all went well: the dataset, posted in order to one partition."""
    records = list(enumerate(dataset.pins(), 100))
    raws = [reference.raw_pin(LOG, 0, offset, offset, pin) for offset, pin in records]
    pins, rejects = reference.catalogue(raws)
    rejected = [
        RejectedPin(key, reject.reason, text(reject.raw), (LOG, 0, reject.raw["source_offset"]))
        for key, reject in rejects.items()
    ]
    clean = list(pins.values())
    return Found(
        in_topic={(0, raw["source_offset"]): raw["unique_id"].encode() for raw in raws},
        archived=len(raws),
        clean=clean,
        rejected=rejected,
        live=clean,
        live_rejected=rejected,
        windows=windows(clean),
        expected_windows=windows(clean),
        late=0,
    )


def text(raw: dict[str, Any]) -> str:
    return msgspec.json.encode({"category": raw["category"]}).decode()


def wrong(found: Found, posted: int = REFERENCE_COUNTS.posted) -> set[str]:
    rows = [*counts.rows(posted, found), *counts.category_rows(found)]
    return {row.stage for row in rows if not row.is_right}


def test_the_reference_dataset_comes_out_as_the_original_printed_it(found: Found) -> None:
    assert wrong(found) == set()
    figures = {row.stage: row.found for row in counts.rows(20_226, found)}
    assert (figures["distinct"], figures["rejected"]) == (11_154, 330)
    assert figures["in Cassandra"] == figures["in PostgreSQL"] == 10_824


def test_each_count_that_differs_is_wrong(found: Found) -> None:
    pin = found.clean[0]
    other = pin.model_copy(update={"category": "other"})
    assert wrong(found, posted=20_225) == {"posted"}
    assert wrong(replace(found, archived=20_225)) == {"archived"}
    assert wrong(replace(found, clean=found.clean[1:])) == {"in Cassandra", str(pin.category)}
    assert wrong(replace(found, live=[other, *found.live[1:]])) == {"other", str(pin.category)}
    assert "rejected" in wrong(replace(found, rejected=found.rejected[1:]))
    assert wrong(replace(found, windows={})) == {"windows"}
    assert wrong(replace(found, windows={}, expected_windows={}, late=9)) == {"late"}
    key, window = next(iter(found.windows.items()))
    shrunk = {**found.windows, key: replace(window, pins=window.pins - 1)}
    assert wrong(replace(found, windows=shrunk)) == {"windows"}
    assert wrong(replace(found, windows={**found.windows, (key[0] - timedelta(days=1), None): window})) == {
        "windows"
    }


def test_pins_of_other_runs_and_other_clients_are_not_counted(found: Found) -> None:
    pin: CleanPin = found.clean[0]
    older = pin.model_copy(update={"source_offset": 99})
    stranger = pin.model_copy(update={"unique_id": UUID(int=7)})
    assert RUN.clean({p.unique_id: p for p in (pin, stranger)}) == [pin]
    assert RUN.clean({older.unique_id: older}) == []
    of_another_log = pin.model_copy(update={"source_log": "t00000007"})
    assert RUN.clean({pin.unique_id: of_another_log}) == []
    reject = found.rejected[0]
    others = [replace(reject, record=record) for record in ((LOG, 0, 5), ("t00000007", *reject.position))]
    assert RUN.rejected([reject, reject, *others]) == [reject]


def test_what_is_wrong_is_shown_with_what_it_must_be(found: Found) -> None:
    console = Console(width=160)
    with console.capture() as shown:
        console.print(show.stages(counts.rows(20_225, found)))
    assert "20,225" in shown.get()
    assert "expected 20,226" in shown.get()


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    RUN.save(tmp_path / "state" / "run.json")
    assert Run.load(tmp_path / "state" / "run.json") == RUN


def test_a_check_without_a_run_says_what_to_do_first(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="pinflow-demo post"):
        Run.load(tmp_path / "run.json")
