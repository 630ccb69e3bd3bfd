import pytest
from prometheus_client import CollectorRegistry
from service_runtime.readiness import Dependency, Readiness
from service_runtime.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=0.0)


@pytest.fixture
def s3(clock: FakeClock) -> Dependency:
    return Readiness(CollectorRegistry(), clock).dependency("s3")


async def test_a_success_of_another_operation_does_not_hide_a_failure(
    s3: Dependency, clock: FakeClock
) -> None:
    s3.up("HeadObject")
    for _ in range(3):
        await clock.advance(1)
        s3.down("PutObject: AccessDenied", "PutObject")
        s3.up("HeadObject")
        s3.up()
        assert not s3.is_up
    assert s3.down_seconds == 2.0, "down since the first refusal, without a break"
    s3.up("PutObject")
    assert s3.is_up


async def test_why_tells_every_failing_operation_and_since_is_of_the_first(
    s3: Dependency, clock: FakeClock
) -> None:
    s3.up()
    await clock.advance(5)
    s3.down("PutObject: AccessDenied", "PutObject")
    await clock.advance(5)
    s3.down("timed out", "ListObjectsV2")
    down_since_5 = {"state": "waiting", "since": "1970-01-01T00:00:05.000+00:00"}
    assert s3.report() == down_since_5 | {"why": "PutObject: AccessDenied; ListObjectsV2: timed out"}
    s3.up("PutObject")
    assert s3.report() == down_since_5 | {"why": "ListObjectsV2: timed out"}


def test_a_failure_without_words_is_a_failure(s3: Dependency) -> None:
    s3.up()
    s3.down("")
    assert not s3.is_up


def test_an_operation_nobody_tries_again_no_longer_counts(s3: Dependency) -> None:
    s3.up("HeadObject")
    s3.down("AccessDenied", "PutObject of partition 3")
    s3.forget("PutObject of partition 3")
    assert s3.is_up


def test_forgetting_is_no_success(s3: Dependency) -> None:
    s3.down("AccessDenied", "PutObject")
    s3.forget("PutObject")
    assert s3.why == "not tried yet"
