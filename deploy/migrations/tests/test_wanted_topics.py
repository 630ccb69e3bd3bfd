from migrations.kafka_topics import wanted_topics
from migrations.settings import MigrateSettings

LARGEST_PIN_BYTES = 64 * 1024


def test_pins_are_dated_by_the_broker_and_dead_letters_are_kept_longer() -> None:
    pins, dead_letters = wanted_topics(MigrateSettings())
    assert (pins.name, pins.partitions, pins.replication_factor) == ("pins", 6, 1)
    assert pins.config["message.timestamp.type"] == "LogAppendTime"
    assert (dead_letters.name, dead_letters.partitions) == ("pins.dead-letter", 1)
    assert int(dead_letters.config["retention.ms"]) > int(pins.config["retention.ms"])


def test_a_batch_of_the_largest_pins_fits() -> None:
    for topic in wanted_topics(MigrateSettings()):
        assert int(topic.config["max.message.bytes"]) >= 16 * LARGEST_PIN_BYTES


def test_a_cluster_is_a_matter_of_settings() -> None:
    settings = MigrateSettings(
        kafka_topic="other", kafka_partitions=48, kafka_replication_factor=3, kafka_min_insync_replicas=2
    )
    pins, dead_letters = wanted_topics(settings)
    assert (pins.name, pins.partitions, pins.replication_factor) == ("other", 48, 3)
    assert dead_letters.name == "other.dead-letter"
    assert pins.config["min.insync.replicas"] == dead_letters.config["min.insync.replicas"] == "2"
