"""Who may do what in Kafka, said in full: what is not in here nobody but the superuser may."""

from confluent_kafka.admin import AclPermissionType
from migrations.kafka_accounts import wanted_accounts
from migrations.settings import MigrateSettings
from pydantic import SecretStr

SECRET = SecretStr("s3cret")
NOBODY = MigrateSettings(
    kafka_security_protocol="SASL_PLAINTEXT", kafka_username="admin", kafka_password=SECRET
)


def rights(settings: MigrateSettings) -> dict[str, set[str]]:
    """What every account may do, as "OPERATION KIND name", a prefix with a star."""
    for account in wanted_accounts(settings):
        for right in account.rights:
            assert right.principal == f"User:{account.name}"
            assert right.permission_type is AclPermissionType.ALLOW
    return {
        account.name: {
            f"{right.operation.name} {right.restype.name} {right.name}"
            + ("*" if right.resource_pattern_type.name == "PREFIXED" else "")
            for right in account.rights
        }
        for account in wanted_accounts(settings)
    }


def test_every_service_has_exactly_what_it_needs() -> None:
    services = ("ingest", "sink", "stream", "auditor")
    told = NOBODY.model_copy(update={f"kafka_{service}_password": SECRET for service in services})
    assert rights(told) == {
        "ingest-api": {"WRITE TOPIC pins"},
        "s3-sink": {"READ TOPIC pins", "WRITE TOPIC pins.dead-letter", "READ GROUP s3-sink*"},
        "stream-etl": {"READ TOPIC pins", "READ GROUP spark-kafka-source*"},
        "auditor": {"READ TOPIC pins", "READ TOPIC pins.dead-letter"},
    }


def test_rights_follow_the_name_of_the_topic() -> None:
    told = NOBODY.model_copy(update={"kafka_topic": "other", "kafka_sink_password": SECRET})
    assert rights(told) == {
        "s3-sink": {"READ TOPIC other", "WRITE TOPIC other.dead-letter", "READ GROUP s3-sink*"}
    }


def test_without_passwords_nobody_is_made() -> None:
    assert wanted_accounts(NOBODY) == []
