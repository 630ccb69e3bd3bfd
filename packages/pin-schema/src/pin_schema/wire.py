"""The Kafka border: a pin's bytes, judged fast when they are plain and exactly when they are not."""

import re
from typing import Annotated

import msgspec

from pin_schema.judge import judge
from pin_schema.raw import MAX_PIN_BYTES, MAX_TEXT_BYTES, UUID_PATTERN
from pin_schema.violations import InvalidPin, Violation

__all__ = [
    "MAX_PIN_BYTES",
    "MAX_TEXT_BYTES",
    "NO_VALUE",
    "SCHEMA_HEADER",
    "InvalidPin",
    "Violation",
    "WirePin",
    "decode",
    "decode_exactly",
    "decode_plain",
    "encode",
    "one_line",
    "partition_key",
]

SCHEMA_HEADER = ("schema", b"pin/1")
NO_VALUE = "no_value"
"The reason of a record without a value (a tombstone), which is no pin and breaks no rule of one."
_is_uuid = re.compile(UUID_PATTERN).fullmatch
_LINE_BREAKS_TO_SPACES = bytes.maketrans(b"\r\n", b"  ")


class WirePin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A valid pin off the wire: RawPin's fields without the unknown ones."""

    index: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    unique_id: str
    title: str | None = None
    description: str | None = None
    poster_name: str | None = None
    follower_count: str | None = None
    tag_list: str | None = None
    is_image_or_video: str | None = None
    image_src: str | None = None
    downloaded: Annotated[int, msgspec.Meta(ge=0, le=1)] | None = None
    save_location: str | None = None
    category: str | None = None


_decode_plain = msgspec.json.Decoder(WirePin).decode
_encode = msgspec.json.Encoder().encode


def decode(value: bytes) -> tuple[WirePin, int]:
    """The pin in `value` and its number of unknown fields; raises InvalidPin."""
    plain = decode_plain(value)
    return decode_exactly(value) if plain is None else (plain, 0)


def decode_plain(value: bytes) -> WirePin | None:
    """The pin in `value`, or None when only the exact judge can tell: it takes 200 times as long."""
    # What cannot hold a text that is too long, nor the one escape that msgspec lets pass: JSON text is never
    # shorter than the UTF-8 it stands for. Looking for one byte first is 10 times faster than for six.
    if len(value) <= MAX_TEXT_BYTES and not (b"\\" in value and b"\\u0000" in value):
        try:
            pin = _decode_plain(value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None  # Only the exact judge may refuse: msgspec is stricter, and stops at the first fault.
        if _is_uuid(pin.unique_id):
            return pin
    return None


def encode(pin: WirePin) -> bytes:
    """The pin as one line of JSON, nulls written out."""
    return _encode(pin)


def partition_key(pin: WirePin) -> bytes:
    """The canonical (lower-case) unique_id: every version of a pin lands in one partition."""
    return pin.unique_id.lower().encode()


def one_line(value: bytes) -> bytes:
    """Valid JSON on one line: line breaks between tokens (strings have none) become spaces."""
    if b"\n" in value or b"\r" in value:
        return value.translate(_LINE_BREAKS_TO_SPACES)
    return value


def decode_exactly(value: bytes) -> tuple[WirePin, int]:
    """The pin in `value` and its number of unknown fields; raises InvalidPin with every violation."""
    raw = judge(value)
    known = {name: getattr(raw, name) for name in WirePin.__struct_fields__}
    return WirePin(**known), len(raw.model_extra or {})
