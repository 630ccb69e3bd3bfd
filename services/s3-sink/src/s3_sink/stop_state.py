"""Whether a partition is stopped, and how health and metrics show it."""

import structlog
from aiokafka import TopicPartition
from service_runtime.readiness import Dependency

from s3_sink.metrics import SinkMetrics
from s3_sink.stops import PartitionStop

log = structlog.get_logger(__name__)

# A stop is believed when it is still there after this long, and asked again every so often.
RECHECK_SECONDS = 60.0


class StopState:
    """A partition's readiness: it halts at once, and is called stopped only when it halts a second time."""

    def __init__(self, partition: TopicPartition, state: Dependency, metrics: SinkMetrics) -> None:
        self._partition = partition
        self._state = state
        self._metrics = metrics
        self._stop: PartitionStop | None = None
        self._state.down("finding where the archive ends")
        # The archiver before this one may have shown a stop; this one decides anew.
        metrics.show_stopped(partition.partition, None)

    def note(self, stop: PartitionStop) -> None:
        """Note a stop, once; the other partitions go on."""
        if stop is self._stop:
            return
        if self._stop is None:
            log.warning("a partition halts, and asks again", partition=self._partition, why=str(stop))
            self._state.down(f"asking again in {RECHECK_SECONDS:g} s: {stop}")
        else:
            log.error("archiving of a partition has stopped", partition=self._partition, why=str(stop))
            self._state.down(str(stop))
            self._metrics.show_stopped(self._partition.partition, stop.reason)
        self._stop = stop

    def lift(self, read_to: int) -> None:
        """Note that records up to this offset follow the archive: the cause of the stop may be gone."""
        if self._stop is not None and read_to > self._stop.offset:
            log.info("what had stopped a partition is gone", partition=self._partition)
            self._stop = None
            self._metrics.show_stopped(self._partition.partition, None)
            self._state.up()

    def placed(self) -> None:
        """Note that it is known where the archive goes on; a stop stands until records have followed."""
        if self._stop is None:
            self._state.up()
