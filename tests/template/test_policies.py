"""The evaluator answers as AWS's documentation says."""

from typing import Any

import pytest

from template.policies import Decision, Document, Request, UnsupportedPolicyError, decide, trusts

ALICE = "arn:aws:iam::111122223333:role/alice"
BOB = "arn:aws:iam::111122223333:role/bob"
READ = "s3:GetObject"
CAT = "arn:aws:s3:::pictures/cats/1.png"
YES, NO, NEVER = Decision.ALLOWED, Decision.NOT_ALLOWED, Decision.DENIED


def policy(effect: str = "Allow", **parts: Any) -> Document:
    return {"Statement": [{"Effect": effect, "Action": READ, "Resource": "*", **parts}]}


def of_bucket(effect: str = "Allow", **parts: Any) -> Document:
    return policy(effect, **{"Principal": "*", **parts})


def asked(**context: str) -> Request:
    return Request(ALICE, READ, CAT, {key.replace("_", ":"): value for key, value in context.items()})


# "Determining whether a request is denied or allowed", of one account.
@pytest.mark.parametrize(
    ("identity", "resource", "answer"),
    [
        ([], [], NO),
        ([policy()], [], YES),
        ([], [of_bucket()], YES),
        ([], [of_bucket(Principal={"AWS": ALICE})], YES),
        ([], [of_bucket(Principal={"AWS": [BOB]})], NO),
        ([policy("Deny")], [of_bucket()], NEVER),
        ([policy()], [of_bucket("Deny")], NEVER),
        ([policy()], [of_bucket("Deny", Principal={"AWS": BOB})], YES),
        ([policy(), policy("Deny")], [], NEVER),
        ([policy("Deny"), policy()], [], NEVER),
    ],
)
def test_a_deny_beats_an_allow_and_silence_is_no(
    identity: list[Document], resource: list[Document], answer: Decision
) -> None:
    assert decide(asked(), identity, resource) is answer


@pytest.mark.parametrize(
    ("parts", "answer"),
    [
        ({"Action": "S3:getobject"}, YES),
        ({"Action": "s3:Get*"}, YES),
        ({"Action": ["s3:PutObject", "s3:Get?bject"]}, YES),
        ({"Action": "s3:GetObjectVersion"}, NO),
        ({"Action": "*"}, YES),
        ({"Resource": CAT}, YES),
        ({"Resource": "arn:aws:s3:::pictures/*.png"}, YES),
        ({"Resource": "arn:aws:s3:::pictures/cats/?.png"}, YES),
        ({"Resource": "arn:aws:s3:::pictures/cats/??.png"}, NO),
        ({"Resource": "arn:aws:s3:::pictures/[c]ats/*"}, NO),
        ({"Resource": "arn:aws:s3:::pictures"}, NO),
        ({"Resource": "arn:aws:s3:::Pictures/*"}, NO),
    ],
)
def test_actions_know_no_case_and_resources_do(parts: dict[str, Any], answer: Decision) -> None:
    assert decide(asked(), [policy(**parts)]) is answer


# "Condition operators": of several values one is enough, of several keys and operators all are wanted; a key
# that is not in the request matches Null and …IfExists alone.
@pytest.mark.parametrize(
    ("condition", "context", "answer"),
    [
        ({"Bool": {"aws:secure": "true"}}, {"aws_secure": "True"}, YES),
        ({"Bool": {"aws:secure": "false"}}, {"aws_secure": "true"}, NO),
        ({"Bool": {"aws:secure": "false"}}, {}, NO),
        ({"Null": {"aws:token": "true"}}, {}, YES),
        ({"Null": {"aws:token": "true"}}, {"aws_token": "x"}, NO),
        ({"Null": {"aws:token": "false"}}, {"aws_token": "x"}, YES),
        ({"Null": {"aws:token": "false"}}, {}, NO),
        ({"StringEquals": {"aws:name": ["a", "b"]}}, {"aws_name": "b"}, YES),
        ({"StringEquals": {"aws:name": "B"}}, {"aws_name": "b"}, NO),
        ({"StringEquals": {"AWS:Name": "b"}}, {"aws_name": "b"}, YES),
        ({"StringEquals": {"aws:name": "b*"}}, {"aws_name": "b1"}, NO),
        ({"StringEquals": {"aws:name": "b"}}, {}, NO),
        ({"StringLike": {"s3:prefix": "home/*"}}, {"s3_prefix": "home/david/"}, YES),
        ({"StringLike": {"s3:prefix": "home/*"}}, {"s3_prefix": "homes"}, NO),
        ({"StringLike": {"s3:prefix": "*"}}, {}, NO),
        ({"StringLikeIfExists": {"s3:prefix": "home/*"}}, {}, YES),
        ({"StringLikeIfExists": {"s3:prefix": "home/*"}}, {"s3_prefix": "home/a"}, YES),
        ({"StringLikeIfExists": {"s3:prefix": "home/*"}}, {"s3_prefix": "other"}, NO),
        ({"StringEquals": {"a:x": "1", "a:y": "1"}}, {"a_x": "1"}, NO),
        ({"StringEquals": {"a:x": "1"}, "Null": {"a:y": "true"}}, {"a_x": "1"}, YES),
        ({"StringEquals": {"a:x": "1"}, "Null": {"a:y": "true"}}, {"a_x": "1", "a_y": "1"}, NO),
    ],
)
def test_a_condition_holds(condition: dict[str, Any], context: dict[str, str], answer: Decision) -> None:
    assert decide(asked(**context), [policy(Condition=condition)]) is answer


def test_a_deny_whose_condition_does_not_hold_denies_nothing() -> None:
    insecure = policy("Deny", Condition={"Bool": {"aws:SecureTransport": "false"}})
    assert decide(asked(aws_SecureTransport="true"), [policy(), insecure]) is YES
    assert decide(asked(aws_SecureTransport="false"), [policy(), insecure]) is NEVER


@pytest.mark.parametrize(
    "document",
    [
        {"Statement": {"Effect": "Allow", "NotAction": "s3:PutObject", "Resource": "*"}},
        {"Statement": {"Effect": "Allow", "Action": READ, "NotResource": "arn:x"}},
        policy(Condition={"StringNotEquals": {"aws:name": "x"}}),
        policy(Condition={"NullIfExists": {"aws:name": "true"}}),
        policy(Condition={"ForAllValues:StringEquals": {"aws:name": "x"}}),
        policy(Resource="arn:aws:s3:::pictures/${aws:username}/*"),
        policy("Maybe"),
    ],
)
def test_what_is_not_known_is_an_error_and_no_guess(document: Document) -> None:
    with pytest.raises(UnsupportedPolicyError):
        decide(asked(), [document])


@pytest.mark.parametrize("principal", [{"AWS": "111122223333"}, {"AWS": "arn:aws:iam::111122223333:root"}])
def test_an_account_as_principal_is_an_error(principal: dict[str, str]) -> None:
    with pytest.raises(UnsupportedPolicyError):
        decide(asked(), [], [of_bucket(Principal=principal)])


def test_a_role_is_taken_on_by_whom_it_trusts() -> None:
    trust = {"Statement": {"Effect": "Allow", "Principal": {"AWS": ALICE}, "Action": "sts:AssumeRole"}}
    assert trusts(trust, ALICE)
    assert not trusts(trust, BOB)
    assert not trusts(trust, "ec2.amazonaws.com")
