"""Bytes are taken before they are read, and given back once."""

import asyncio

import pytest
from ingest_api.admission import Admission, BudgetSpent
from prometheus_client import CollectorRegistry, Gauge


@pytest.fixture
def admission() -> Admission:
    return Admission(1000, Gauge("taken", "", registry=CollectorRegistry()))


def test_what_does_not_fit_is_refused_and_takes_nothing(admission: Admission) -> None:
    with admission.room(bulk=False) as room:
        room.take(600)
        with pytest.raises(BudgetSpent, match="600 bytes"):
            room.take(401)
        room.take(400)
        assert admission.taken == 1000
    assert admission.taken == 0


def test_bulk_leaves_some_to_single_pins(admission: Admission) -> None:
    with admission.room(bulk=True) as bulk, admission.room(bulk=False) as single:
        bulk.take(750)
        with pytest.raises(BudgetSpent):
            bulk.take(1)
        single.take(250)


async def test_what_kafka_has_outlives_its_request(admission: Admission) -> None:
    acked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with admission.room(bulk=False) as room:
        room.take(10)
        room.keep_until(acked)
    assert admission.taken == 10
    acked.set_result(None)
    await asyncio.sleep(0)
    assert admission.taken == 0


def test_a_failed_request_gives_back_what_it_took(admission: Admission) -> None:
    with admission.room(bulk=True) as room:
        room.take(600)
        with pytest.raises(BudgetSpent):
            room.take(600)
    assert admission.taken == 0
