"""What goes wrong, in one line: what happened, what was found, what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as aws

EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
UNKNOWN = {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure"}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
LOGIN = "log in (aws sso login, aws configure) or set AWS_PROFILE"


class StackError(Exception):
    """The command ends here; the message is for the person who called it."""


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Raise StackError for whatever AWS or the way to it says."""
    try:
        yield
    except aws.ClientError as error:
        raise StackError(_refused(error)) from error
    except (aws.NoCredentialsError, aws.PartialCredentialsError) as error:
        raise StackError(f"no AWS credentials were found: {LOGIN}") from error
    except (aws.SSOError, aws.TokenRetrievalError, aws.CredentialRetrievalError) as error:
        raise StackError(f"the login to AWS has expired, {error}: {LOGIN}") from error
    except aws.ProfileNotFound as error:
        raise StackError(f"{error}: name one that `aws configure list-profiles` shows") from error
    except aws.EndpointConnectionError as error:
        raise StackError(f"AWS was not reached, {error}: is the region right, and the network up?") from error
    except aws.BotoCoreError as error:
        raise StackError(f"the call to AWS failed: {error}") from error


def _refused(error: aws.ClientError) -> str:
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code in EXPIRED:
        return f"the credentials have expired ({code}): {LOGIN}"
    if code in UNKNOWN:
        return f"AWS does not know these credentials, or the region is not enabled ({code}): {LOGIN}"
    if code in DENIED:
        return f"{error.operation_name} is not allowed to these credentials, {message}: use some that are"
    return f"{error.operation_name} was refused: {message} ({code})"
