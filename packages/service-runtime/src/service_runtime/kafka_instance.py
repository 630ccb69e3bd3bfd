"""One living member for each instance name of a group.

Kafka hands a static member's place to whoever joins under its name, and aiokafka's heartbeats carry no
name: two living members evict each other for ever. So each member says in its subscription who it is
(a member's client id will not do: the group keeps the first one's for all that follow), and a newcomer
looks before it joins.
"""

import asyncio
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

from aiokafka.client import AIOKafkaClient
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest

from service_runtime.broker import InstanceNameTaken

GROUP = 0  # the kind of coordinator to look up
LOOK_SECONDS = 0.5


@cache
def _place() -> str:
    """Name what process ids count in: this run of the machine, and in it the container or namespace.

    A container that is started again has another namespace, but the same file mounted at /etc/hostname.
    """
    mounts = re.findall(r"^\d+ \d+ (\S+ \S+) /etc/hostname ", _read("/proc/self/mountinfo"), re.MULTILINE)
    inside = mounts[-1] if mounts else Path("/proc/self/ns/pid").readlink()
    return sha256(f"{_read('/proc/sys/kernel/random/boot_id')} {inside}".encode()).hexdigest()[:12]


def _born(pid: int) -> int | None:
    """Return when the process started, in ticks of the kernel, or None when it no longer runs."""
    try:
        state, *values = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(values[18])


def _read(path: str) -> str:
    return Path(path).read_text()


@dataclass(frozen=True, slots=True)
class Holder:
    """Who goes by an instance's name: a consumer of a process."""

    host: str = field(default_factory=socket.gethostname)
    place: str = field(default_factory=_place)
    pid: int = field(default_factory=os.getpid)
    born: int | None = field(default_factory=lambda: _born(os.getpid()))
    started: float = field(default_factory=time.time)
    # A process may have two consumers.
    consumer: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def is_known_dead(self) -> bool:
        """Whether its process ran here and runs no more."""
        return self.place == _place() and _born(self.pid) != self.born

    def is_younger_than(self, other: "Holder") -> bool:
        """Whether it gives way; one of two always does."""
        return (self.started, self.consumer) > (other.started, other.consumer)

    def to_bytes(self) -> bytes:
        """Serialize."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Holder | None":
        """Parse, or return None for what another kind of client wrote."""
        try:
            return cls(**json.loads(data))
        except (ValueError, TypeError):
            return None


class NamedAssignor(RoundRobinPartitionAssignor):  # type: ignore[misc]
    """Spreads partitions evenly; the subscription says who subscribes."""

    def __init__(self, holder: Holder) -> None:
        self._holder = holder

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Return the subscription."""
        return ConsumerProtocolMemberMetadata(self.version, list(topics), self._holder.to_bytes())


@dataclass(frozen=True, slots=True)
class InstanceName:
    """A name in a group, and who of this process wants it."""

    group: str
    name: str
    holder: Holder

    async def wait_for(self, client: AIOKafkaClient, session_seconds: float) -> None:
        """Return when the name is free, or its holder dead; raises InstanceNameTaken or aiokafka's errors.

        Of whom nobody here can say whether he lives is asked until his session must have run out.
        """
        deadline = asyncio.get_running_loop().time() + session_seconds + LOOK_SECONDS
        while True:
            try:
                is_there, holder = await self._look(client)
            except KafkaError as error:
                if not error.retriable or asyncio.get_running_loop().time() > deadline:
                    raise
                is_there, holder = True, None  # as far as is known
            if not is_there or (holder and (holder.is_known_dead or holder == self.holder)):
                return
            if asyncio.get_running_loop().time() > deadline:
                raise self._taken(holder)
            await asyncio.sleep(LOOK_SECONDS)

    async def check(self, client: AIOKafkaClient) -> None:
        """Raise InstanceNameTaken when an older consumer goes by the name; the younger gives way."""
        is_there, holder = await self._look(client)
        if not is_there or holder is None or holder == self.holder or holder.is_known_dead:
            return
        if self.holder.is_younger_than(holder):
            raise self._taken(holder)

    async def _look(self, client: AIOKafkaClient) -> tuple[bool, Holder | None]:
        """Return whether the group has a member of the name, and who it says it is."""
        coordinator = await client.coordinator_lookup(GROUP, self.group)
        answer = await client.send(coordinator, DescribeGroupsRequest([self.group]))
        ((code, _, _, _, _, members, *_),) = answer.groups
        if code:
            raise for_code(code)(self.group)
        # Kafka makes a static member's id of its name and a UUID.
        member_id = re.compile(re.escape(self.name) + "-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
        for found, _, _, subscription, _ in members:
            if member_id.fullmatch(found):
                return True, _holder_of(subscription)
        return False, None

    def _taken(self, holder: Holder | None) -> InstanceNameTaken:
        whom = f"process {holder.pid} on host {holder.host!r}" if holder else "another member"
        return InstanceNameTaken(
            f"the instance name {self.name!r} is taken in group {self.group!r}: {whom} lives and goes by it. "
            f"Give each instance a name of its own (s3-sink: SINK_KAFKA_INSTANCE), or stop the other"
        )


def _holder_of(subscription: bytes) -> Holder | None:
    if not subscription:  # while the group rebalances it says nothing
        return None
    return Holder.from_bytes(ConsumerProtocolMemberMetadata.decode(subscription).user_data or b"")
