"""Steps in Redis, as the driver sees them: which buckets hold them, whether they are whole, and their end."""

from pyspark.sql import DataFrame
from redis.exceptions import OutOfMemoryError

from batch_etl.errors import RedisTooSmall, StageLost
from batch_etl.redis_buckets import Bucket, BucketReader, BucketWriter, Stage, connect
from batch_etl.spark_io import rows_of_tasks

DELETED_AT_ONCE = 500
FULL = "Redis is full (`maxmemory`): a slice of the run does not fit"
NO_ROOM = "command not allowed when used memory"


class RedisStaging:
    """Keeps steps in Redis under one prefix. A lost stage is found out, and the run starts again.

    The manifest of a step, its buckets, holds what finished tasks returned and nothing of lost attempts.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._manifest: list[Bucket] = []
        self._client = stage.connect()
        # A member from the start: without it, Redis has forgotten what it was told.
        try:
            self._client.sadd(stage.keys.buckets, stage.keys.prefix)
        except OutOfMemoryError as error:
            raise RedisTooSmall(FULL) from error
        self._client.expire(stage.keys.buckets, stage.ttl_seconds)

    def keep(self, step: str, frame: DataFrame) -> DataFrame:
        """Write the step to Redis; raises StageLost when it is not there afterwards."""
        writer = BucketWriter(self._stage, step)
        written = frame.mapInArrow(writer.write, "key string, chunks long").collect()
        buckets = [Bucket(row.key, row.chunks) for row in written]
        self._manifest += buckets
        self.check()
        reader = BucketReader(self._stage, buckets)
        return rows_of_tasks(frame.sparkSession, len(buckets), reader.read, frame.schema)

    def check(self, error: Exception | None = None) -> None:
        """Raise StageLost when a bucket is gone or short, or when the error is that Redis has no room."""
        if NO_ROOM in str(error):
            raise RedisTooSmall(FULL) from error
        if not self._client.sismember(self._stage.keys.buckets, self._stage.keys.prefix):
            raise StageLost("Redis has forgotten the run: flushed, expired, or restarted without its data")
        for bucket in self._manifest:
            if (found := self._client.hlen(bucket.key)) != bucket.chunks:
                why = "evicted, expired or flushed"
                raise StageLost(f"{bucket.key} has {found} of {bucket.chunks} chunks: {why}")

    def discard(self) -> None:
        """Delete every bucket that was begun, those of lost tasks included."""
        self._client.close()
        # Without patience: what cannot be deleted now expires.
        with connect(self._stage.url, patience_seconds=0) as client:
            keys = [*client.smembers(self._stage.keys.buckets), self._stage.keys.buckets]
            for start in range(0, len(keys), DELETED_AT_ONCE):
                client.unlink(*keys[start : start + DELETED_AT_ONCE])
