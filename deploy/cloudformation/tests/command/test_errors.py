"""What AWS says, in one line that says what to do."""

from pathlib import Path

import boto3
import pytest
from botocore import exceptions as aws_says
from cloud_stack.errors import StackError, in_plain_words

from .conftest import PLACE, SOURCE, Run


def refused(code: str) -> aws_says.ClientError:
    return aws_says.ClientError({"Error": {"Code": code, "Message": "because"}}, "CreateChangeSet")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (refused("ExpiredToken"), "the credentials have expired (ExpiredToken): log in"),
        (refused("InvalidClientTokenId"), "does not know these credentials, or the region is not enabled"),
        (refused("AccessDenied"), "CreateChangeSet is not allowed to these credentials, because"),
        (refused("LimitExceeded"), "CreateChangeSet was refused: because (LimitExceeded)"),
        (aws_says.NoCredentialsError(), "no AWS credentials were found: log in"),
        (aws_says.UnauthorizedSSOTokenError(), "the login to AWS has expired"),
        (aws_says.ProfileNotFound(profile="work"), "(work) could not be found: name one that"),
        (aws_says.EndpointConnectionError(endpoint_url="https://x"), "is the region right"),
        (aws_says.ReadTimeoutError(endpoint_url="https://x"), "the call to AWS failed"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_says_what_to_do(error: Exception, says: str) -> None:
    with pytest.raises(StackError) as caught, in_plain_words():
        raise error
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("command", [("deploy", *PLACE, *SOURCE), ("destroy", *PLACE)])
def test_without_credentials_a_command_is_one_line(
    aws: Path, run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    # It remembers credentials.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    ended = run(*command)
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith("cloud-stack: no AWS credentials were found: log in")
    assert "Traceback" not in ended.err


def test_a_region_is_asked_for(run: Run) -> None:
    ended = run("destroy", "--stack", "pins")
    assert ended.code == 2
    assert "--region" in ended.err
