"""How far the archive is behind the log, and whether a consumer that should read does."""

from aiokafka import TopicPartition
from service_runtime.clock import Clock

from s3_sink.archiver import PartitionArchiver
from s3_sink.metrics import SinkMetrics


class ConsumerStalledError(Exception):
    """There is a backlog and nothing arrives: only a new process helps."""


class LagMeter:
    """Shows each partition's lag, in records and seconds."""

    def __init__(self, stall_seconds: float, clock: Clock, metrics: SinkMetrics) -> None:
        self._stall_seconds = stall_seconds
        self._clock = clock
        self._metrics = metrics
        self._log_ends: dict[TopicPartition, int] = {}

    def known_end(self, partition: TopicPartition) -> int:
        """Return the end of the partition's log when it was last measured, 0 before."""
        return self._log_ends.get(partition, 0)

    def measure(self, archiver: PartitionArchiver, log_end: int) -> None:
        """Show the lag behind a log's end; raises ConsumerStalledError."""
        self._log_ends[archiver.partition] = log_end
        reader = archiver.reader
        all_read = reader.is_reading and reader.read_to >= log_end
        if not reader.is_reading or all_read:
            # Silence counts only while there is something to hear.
            reader.read_at = self._clock.monotonic()
        if archiver.uploader.archived_to is None:
            return  # what was shown before still holds, or nothing is known yet
        # What lies behind the last record and is none (a transaction's end) waits for nothing.
        is_done = all_read and reader.is_stored
        self._show(archiver, 0 if is_done else max(0, log_end - archiver.uploader.archived_to))
        silent = self._clock.monotonic() - reader.read_at
        if silent > self._stall_seconds:
            raise ConsumerStalledError(
                f"{archiver.partition} has records up to {log_end - 1}, "
                f"but nothing after {reader.next_offset} came for {silent:.0f} s"
            )

    def _show(self, archiver: PartitionArchiver, waiting: int) -> None:
        label, now = str(archiver.partition.partition), self._clock.now()
        if not waiting:
            archiver.uploader.fresh_until = now
        # Also of what could not be read: a partition that delivers nothing is not one without pins.
        oldest = archiver.reader.oldest_timestamp
        since = archiver.uploader.fresh_until if oldest is None else oldest / 1000
        self._metrics.lag_records.labels(label).set(waiting)
        self._metrics.lag_seconds.labels(label).set(max(0.0, now - since) if waiting else 0)
