"""What a member of a group does when its partitions are dealt anew."""

from typing import Protocol

from aiokafka import ConsumerRebalanceListener, TopicPartition

from service_runtime.broker import AssignmentListener


class Member(Protocol):
    """What a rebalance asks of a group consumer."""

    def unposition(self) -> None:
        """Return nothing more until positions are sought again."""

    def pause(self, partition: TopicPartition) -> None:
        """Return no more of this partition."""

    async def look_who_evicted(self) -> None:
        """Look who has this member's name, before it joins again."""


class Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    """Keeps the positioned set right and tells the owner, who never blocks the group's heartbeat."""

    def __init__(self, member: Member, listener: AssignmentListener) -> None:
        self._member = member
        self._listener = listener

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Let go of everything: aiokafka's protocol is the eager one."""
        self._member.unposition()
        self._listener.revoked(frozenset(revoked))
        await self._member.look_who_evicted()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Return nothing of them before their owner has sought positions."""
        self._member.unposition()
        for partition in assigned:
            self._member.pause(partition)
        self._listener.assigned(frozenset(assigned))
