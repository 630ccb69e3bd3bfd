"""The OpenAPI document, made from the contract: the routes read bytes, so FastAPI cannot derive it."""

from typing import Any

from fastapi import FastAPI
from pin_schema.raw import RawPin

_REF = {"$ref": "#/components/schemas/RawPin"}
_RECEIPT = {
    "type": "object",
    "description": "Where the pin is. Every in-sync replica holds it at this position.",
    "required": ["topic", "log", "partition", "offset", "timestamp"],
    "properties": {
        "topic": {"type": "string", "examples": ["pins"]},
        "log": {
            "type": "string",
            "pattern": "^t[0-9a-f]{8}$",
            "examples": ["t5f0e1c9a"],
            "description": "Short for the topic's id: another one once the topic was created again.",
        },
        "partition": {"type": "integer", "examples": [3]},
        "offset": {"type": "integer", "examples": [20225]},
        "timestamp": {"type": "integer", "description": "The broker's append time, ms since the epoch."},
    },
}
_RECEIPTS = {
    "type": "object",
    "required": ["receipts"],
    "properties": {"receipts": {"type": "array", "items": {"$ref": "#/components/schemas/Receipt"}}},
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `errors` names the pin, the field and the rule; `receipts` what is confirmed.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
        "receipts": {"type": "array", "items": {"type": ["object", "null"]}},
    },
}
_REFUSALS = {
    "400": "Not JSON",
    "408": "The body did not arrive in time",
    "413": "Too large; if only for Kafka's topic, pins with a receipt are stored",
    "415": "Wrong content type, charset or content coding",
    "422": "A pin breaks the contract, and nothing was stored; or Kafka refuses pins, as with 413",
    "429": "Too many bytes in flight; see Retry-After",
    "503": "Kafka did not confirm; post what has no receipt again, see Retry-After",
}
_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}


def describe(app: FastAPI) -> None:
    """Make the app serve this document, at /openapi.json and /docs."""
    app.openapi = openapi_document  # type: ignore[method-assign]


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the service."""
    ndjson = {"schema": {"type": "string", "description": "One pin a line."}}
    many = {
        "application/json": {"schema": {"type": "array", "minItems": 1, "items": _REF}},
        "application/x-ndjson": ndjson,
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pinflow ingest-api",
            "version": "1",
            "description": "A 2xx means that every in-sync replica has the pin.",
        },
        "paths": {
            "/pin/": {"post": _operation("Post one pin", {"application/json": {"schema": _REF}}, "Receipt")},
            "/pins": {"post": _operation("Post many pins, all or none of them valid", many, "Receipts")},
        },
        "components": {
            "schemas": {
                "RawPin": RawPin.model_json_schema(),
                "Receipt": _RECEIPT,
                "Receipts": _RECEIPTS,
                "Problem": _PROBLEM,
            }
        },
    }


def _operation(summary: str, content: dict[str, Any], answer: str) -> dict[str, Any]:
    accepted = {
        "description": "Stored",
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{answer}"}}},
    }
    refusals = {status: _refusal(status, text) for status, text in _REFUSALS.items()}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": accepted} | refusals,
    }


def _refusal(status: str, text: str) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    headers = {"headers": _RETRY_AFTER} if status in {"429", "503"} else {}
    return {"description": text, "content": problem, **headers}
