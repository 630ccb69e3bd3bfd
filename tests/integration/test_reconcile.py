"""Reading the topic back says why it cannot, and never waits for ever."""

import socket

import pytest
from native_stack.clients import topic_settings
from native_stack.stack import Stack
from reconcile import topic
from reconcile.errors import DemoError
from reconcile.offsets import OffsetRange


async def test_a_broker_that_is_away_is_named(stack: Stack) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        away = topic_settings(stack).model_copy(update={"kafka_bootstrap_servers": address})
        with pytest.raises(DemoError, match=f"Kafka at {address}: .*Connect call failed"):
            await topic.log_ends(away, "pins")


async def test_records_that_do_not_come_end_the_reading(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic, "SILENT_SECONDS", 1.0)
    kafka = topic_settings(stack)
    ends = await topic.log_ends(kafka, "pins")
    beyond = OffsetRange(ends, {partition: end + 1 for partition, end in ends.items()})
    with pytest.raises(DemoError, match=r"gave no record of pins-0, .* for 1 s"):
        await topic.read_topic(kafka, "pins", beyond)
