"""Which log a record lies in: a position is (log, partition, offset).

Kafka gives a topic an id when it is created, and another one when it is created again under the same name:
offset 7 of the one and offset 7 of the other are different records. `log` is the id's short name.
"""

from uuid import UUID

NO_TOPIC = UUID(int=0)
"Kafka's own id for 'unknown'; records of archive format 1 do not say which topic they come from."


def log_name(topic_id: UUID) -> str:
    """Return the short name of a topic's log: `t` and the id's first 8 hexadecimal digits.

    The letter keeps Spark and other readers of folder names from taking it for a number.
    """
    return f"t{topic_id.hex[:8]}"


FORMAT_1_LOG = log_name(NO_TOPIC)
