"""Our rules find every mistake we know how to make, and none in the template; cfn-lint agrees."""

import copy

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from cloud_stack.template import PATH

from template.body import LARGEST_BODY, read
from template.edits import Change
from template.mutants import MISTAKES
from template.rules import RULES, complaints

BODY = read()
REGIONS = ["eu-central-1", "eu-west-1", "us-east-1", "us-west-2"]


def lint_errors(text: str) -> list[str]:
    found = lint(text, config=ManualArgs(regions=REGIONS))
    return [f"{match.rule.id} line {match.linenumber}: {match.message}" for match in found]


def test_the_template_breaks_no_rule() -> None:
    told = {name: (RULES[name].reason, found) for name, found in complaints(BODY).items()}
    assert told == {}


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        pytest.param(rule, change, id=f"{rule}: {what}")
        for rule, mistakes in MISTAKES.items()
        for what, change in mistakes.items()
    ],
)
def test_a_mistake_is_found_by_its_rule_alone(rule: str, change: Change) -> None:
    changed = copy.deepcopy(BODY)
    change(changed)
    assert changed != BODY
    assert list(complaints(changed)) == [rule]


def test_every_rule_has_a_mistake_to_find() -> None:
    assert MISTAKES.keys() == RULES.keys()


def test_cfn_lint_has_nothing_to_say() -> None:
    assert lint_errors(PATH.read_text()) == []


def test_cfn_lint_would_say_it() -> None:
    wrong = PATH.read_text().replace("VolumeType: gp3", "VolumeTyp: gp3", 1)
    assert [error for error in lint_errors(wrong) if "VolumeTyp" in error] != []


def test_the_file_can_be_sent_as_it_is() -> None:
    assert PATH.stat().st_size < LARGEST_BODY
