import re
from pathlib import Path

from migrations.kafka_topics import wanted_topics
from migrations.settings import MigrateSettings

LARGEST_PIN_BYTES = 64 * 1024
GIB = 1024**3
# A partition keeps its newest segment too, of Kafka's default size.
SEGMENT_BYTES = GIB
TEMPLATE = Path(__file__).parents[3] / "deploy/cloudformation/template.yaml"


def test_pins_are_dated_by_the_broker_and_dead_letters_are_kept_longer() -> None:
    pins, dead_letters = wanted_topics(MigrateSettings())
    assert (pins.name, pins.partitions, pins.replication_factor) == ("pins", 6, 1)
    assert pins.config["message.timestamp.type"] == "LogAppendTime"
    assert (dead_letters.name, dead_letters.partitions) == ("pins.dead-letter", 1)
    assert int(dead_letters.config["retention.ms"]) > int(pins.config["retention.ms"])


def test_a_batch_of_the_largest_pins_fits() -> None:
    for topic in wanted_topics(MigrateSettings()):
        assert int(topic.config["max.message.bytes"]) >= 16 * LARGEST_PIN_BYTES


def test_a_record_is_bounded_inflated_and_one_that_came_uncompressed_passes() -> None:
    for topic in wanted_topics(MigrateSettings()):
        inflated = int(topic.config["max.decompressed.message.bytes"])
        assert inflated == 2 * int(topic.config["max.message.bytes"])


def test_the_disk_of_the_template_alerts_before_retention_by_size_deletes_and_is_not_filled_by_it() -> None:
    disk = re.search(
        r"^  DataVolumeGiB:\n    Type: Number\n    Default: (\d+)$", TEMPLATE.read_text(), re.MULTILINE
    )
    assert disk is not None
    topics = wanted_topics(MigrateSettings())
    assert int(topics[0].config["retention.bytes"]) * topics[0].partitions / (int(disk[1]) * GIB) >= 0.9
    held = sum((int(topic.config["retention.bytes"]) + SEGMENT_BYTES) * topic.partitions for topic in topics)
    assert held < int(disk[1]) * GIB


def test_a_cluster_is_a_matter_of_settings() -> None:
    settings = MigrateSettings(
        kafka_topic="other", kafka_partitions=48, kafka_replication_factor=3, kafka_min_insync_replicas=2
    )
    pins, dead_letters = wanted_topics(settings)
    assert (pins.name, pins.partitions, pins.replication_factor) == ("other", 48, 3)
    assert dead_letters.name == "other.dead-letter"
    assert pins.config["min.insync.replicas"] == dead_letters.config["min.insync.replicas"] == "2"
