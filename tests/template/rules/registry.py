"""What a rule is: a function from a view of the template to its complaints, with a reason."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from template.body import Body, View


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong, where, and what to do."""

    resource: str
    text: str


Check = Callable[[View], Iterator[Complaint]]


@dataclass(frozen=True)
class Rule:
    """A check, and what goes wrong where nobody makes it."""

    check: Check
    reason: str


RULES: dict[str, Rule] = {}


def rule(reason: str) -> Callable[[Check], Check]:
    """Enter the function below as a rule of its name."""

    def enter(check: Check) -> Check:
        RULES[check.__name__] = Rule(check, reason)
        return check

    return enter


def complaints(body: Body) -> dict[str, list[Complaint]]:
    """Return what each rule complains of, whether conditions hold or not; silent rules are left out."""
    views = View(body, conditions=True), View(body, conditions=False)
    heard = {
        name: list(dict.fromkeys(found for view in views for found in rule.check(view)))
        for name, rule in RULES.items()
    }
    return {name: found for name, found in heard.items() if found}
