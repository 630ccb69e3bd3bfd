"""A partition that this member owns, from its assignment until it is revoked or another log."""

import asyncio

from aiokafka import TopicPartition
from service_runtime.readiness import Dependency

from s3_sink.dependencies import Dependencies
from s3_sink.metrics import SinkMetrics
from s3_sink.reader import PartitionReader
from s3_sink.settings import SinkSettings
from s3_sink.stop_state import StopState
from s3_sink.uploader import PartitionUploader


class PartitionArchiver:
    """One partition of one log: a reader that the sink's loop calls, and an uploader with its own worker."""

    def __init__(
        self,
        partition: TopicPartition,
        dependencies: Dependencies,
        settings: SinkSettings,
        state: Dependency,
        metrics: SinkMetrics,
    ) -> None:
        self.partition = partition
        stop_state = StopState(partition, state, metrics)
        self.reader = PartitionReader(partition, dependencies, settings.flush_max_seconds, stop_state)
        self.uploader = PartitionUploader(self.reader, dependencies, settings, stop_state, metrics)
        self.worker = asyncio.create_task(self.uploader.run(), name=f"archive-{partition.partition}")

    async def retire(self) -> None:
        """Read no more, and end when all that was read is stored: the topic holds another log now."""
        await self.reader.end()
        if self.reader.is_stored:
            self.worker.cancel()
        self.uploader.retire()
