"""Where every record went: read = clean + duplicate + rejected, object by object. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pin_schema.archive_stream import VerifiedObject

from batch_etl.errors import Unbalanced

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Tally:
    """What Spark counted; the keys are objects, or objects with a reason.

    `judged` counts records by the rule that makes them no pin, or None for pins; `clean` and `rejected`
    count the versions that were kept, and `distinct`, apart from them, the pins of both sides.
    """

    judged: Mapping[tuple[str, str | None], int]
    distinct: int
    clean: Mapping[str, int]
    rejected: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class ObjectAccount:
    """Where the records of one object went."""

    held: VerifiedObject
    clean: int
    duplicate: int
    rejected: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Account:
    """Where the records of a run went, by object."""

    objects: Mapping[str, ObjectAccount] = field(default_factory=dict)

    def plus(self, other: "Account") -> "Account":
        """This account and another one, of other objects."""
        return Account({**self.objects, **other.objects})

    @property
    def read(self) -> int:
        """Records in the objects loaded."""
        return sum(account.held.records for account in self.objects.values())

    @property
    def clean(self) -> int:
        """Pins written to the catalogue."""
        return sum(account.clean for account in self.objects.values())

    @property
    def duplicate(self) -> int:
        """Pins of which the same slice of the run holds a newer version."""
        return sum(account.duplicate for account in self.objects.values())

    @property
    def rejected(self) -> dict[str, int]:
        """Rejected records by reason."""
        reasons: Counter[str] = Counter()
        for account in self.objects.values():
            reasons.update(account.rejected)
        return dict(sorted(reasons.items()))


def balance(verified: Mapping[str, VerifiedObject], tally: Tally) -> Account:
    """The account of a run; raises Unbalanced when records are missing or doubled anywhere."""
    strangers = {key for key, _ in tally.judged} - verified.keys()
    if strangers:
        raise Unbalanced(f"records came from objects that were not verified: {sorted(strangers)}")
    kept = sum(tally.clean.values()) + sum(tally.rejected.values())
    if kept != tally.distinct:
        raise Unbalanced(
            f"the records hold {tally.distinct} pins, valid and rejected, but {kept} were kept: "
            "they are not recorded as loaded"
        )
    judged, rejected = _by_object(tally.judged), _by_object(tally.rejected)
    return Account(
        {
            key: _balance_object(key, held, judged[key], tally.clean.get(key, 0), rejected[key])
            for key, held in verified.items()
        }
    )


def _by_object(counts: Mapping[tuple[str, R], int]) -> defaultdict[str, dict[R, int]]:
    grouped: defaultdict[str, dict[R, int]] = defaultdict(dict)
    for (key, reason), count in counts.items():
        grouped[key][reason] = count
    return grouped


def _balance_object(
    key: str, held: VerifiedObject, judged: Mapping[str | None, int], clean: int, kept: Mapping[str, int]
) -> ObjectAccount:
    duplicate = judged.get(None, 0) - clean - sum(kept.values())
    no_pins = {rule: count for rule, count in judged.items() if rule is not None}
    rejected = Counter(kept) + Counter(no_pins)
    if duplicate < 0 or held.records != clean + duplicate + rejected.total():
        raise Unbalanced(
            f"{key} holds {held.records} records, but {clean} clean + {duplicate} duplicate + "
            f"{dict(rejected)} rejected were counted: they are not recorded as loaded"
        )
    return ObjectAccount(held, clean, duplicate, dict(rejected))
