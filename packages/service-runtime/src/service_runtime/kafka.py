"""The real broker: aiokafka behind the protocols of `broker.py`."""

from aiokafka.errors import UnknownTopicOrPartitionError

from service_runtime.broker import BrokerUnavailable, UnknownTopic

# A request that a stalled broker never answers is given up after this long and tried again.
REQUEST_TIMEOUT_MS = 5_000
# Leaving politely is worth this long; what is left then is dropped, and its owner never saw an ack.
STOP_SECONDS = 5.0


def unavailable(error: Exception) -> BrokerUnavailable:
    """Say what aiokafka ran into, as one of our two words for "not now"."""
    if isinstance(error, UnknownTopicOrPartitionError):
        return UnknownTopic("the topic does not exist: run the migrations")
    return BrokerUnavailable(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def unknown_topic(topic: str) -> UnknownTopic:
    """Say that the topic is not there."""
    return UnknownTopic(f"topic {topic!r} does not exist: run the migrations")
