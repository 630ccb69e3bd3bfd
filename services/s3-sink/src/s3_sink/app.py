"""The whole service wired: settings in, health routes and the sink beside them out."""

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry
from service_runtime.broker import BatchProducer, GroupConsumer
from service_runtime.clock import Clock
from service_runtime.health import health_routes
from service_runtime.object_store import ObjectStore
from service_runtime.readiness import Dependency, Readiness
from service_runtime.service import Service
from starlette.applications import Starlette

from s3_sink.archive import Archive
from s3_sink.archiver import PartitionArchiver
from s3_sink.dead_letters import DeadLetters
from s3_sink.dependencies import Dependencies, InThread
from s3_sink.metrics import SinkMetrics
from s3_sink.settings import SinkSettings
from s3_sink.sink import Sink


def create_sink(
    settings: SinkSettings,
    consumer: GroupConsumer,
    producer: BatchProducer,
    store: ObjectStore,
    clock: Clock,
    registry: CollectorRegistry,
    in_thread: InThread,
) -> Service:
    """Wire the service; nothing connects before the sink runs."""
    readiness = Readiness(registry, clock)
    metrics = SinkMetrics(registry)
    archive = Archive(store, readiness.dependency("s3"), clock)
    # Apart from `kafka`, which answers all the while that this one topic refuses to be written.
    dead_letter_topic = readiness.dependency("dead-letters")
    dead_letters = DeadLetters(producer, settings.kafka_dead_letter_topic, dead_letter_topic, metrics, clock)
    dependencies = Dependencies(consumer, archive, dead_letters, clock, in_thread)

    def make_archiver(partition: TopicPartition, state: Dependency) -> PartitionArchiver:
        return PartitionArchiver(partition, dependencies, settings, state, metrics)

    sink = Sink(consumer, archive, make_archiver, settings, readiness, clock, metrics)
    return Service(Starlette(routes=health_routes(readiness, registry)), sink.run)
