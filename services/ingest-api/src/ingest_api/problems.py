"""What goes wrong, as RFC 9457 problem documents: what happened, what was found, what to do."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

TYPE_PREFIX = "urn:pinflow:problem:"


class Problem(Exception):  # noqa: N818 (the field's word, RFC 9457)
    """Ends a request with application/problem+json."""

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        *,
        retry_after: int | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self._retry_after = retry_after
        self.document = {
            "type": TYPE_PREFIX + kind,
            "title": title,
            "status": status,
            "detail": detail,
            **(members or {}),
        }

    def response(self) -> Response:
        """Return the HTTP answer; Retry-After is in seconds."""
        headers = {} if self._retry_after is None else {"Retry-After": str(self._retry_after)}
        return Response(
            msgspec.json.encode(self.document),
            status_code=self.status,
            headers=headers,
            media_type="application/problem+json",
        )


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Answer the framework's own refusals (404, 405) in the same form."""
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for this type only)
    response = Problem(
        error.status_code,
        "no-such-route",
        str(error.detail),
        f"{request.method} {request.url.path} is not served; POST one pin to /pin/ or many to /pins",
    ).response()
    response.headers.update(error.headers or {})
    return response


async def answer_bug(request: Request, _: Exception) -> Response:
    """Answer an error of ours; the log has the trace."""
    return Problem(
        500,
        "internal",
        "Internal error",
        f"{request.method} {request.url.path} failed here, not at your end; pins may or may not be stored",
    ).response()
