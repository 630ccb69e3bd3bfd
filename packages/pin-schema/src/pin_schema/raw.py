"""RawPin, the contract: what a client may send. OpenAPI, Spark types and the emulator derive from it."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from pin_schema import document

MAX_PIN_BYTES = 64 * 1024
MAX_TEXT_BYTES = 16 * 1024
UUID_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_UUID_LENGTH = 36


def _fit_in_bytes(text: str) -> str:
    # Lone surrogates are another rule's matter: they must not break this one.
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_TEXT_BYTES:
        raise PydanticCustomError("too_long", f"{size} bytes of UTF-8; at most {MAX_TEXT_BYTES} are allowed")
    return text


Text = Annotated[str, Field(max_length=MAX_TEXT_BYTES), AfterValidator(_fit_in_bytes)]


class RawPin(BaseModel):
    """A pin as clients post it: one JSON object of at most 64 KiB.

    Texts hold at most 16 KiB of UTF-8 each. Unknown fields are accepted and archived as they came; the last
    of duplicate keys wins. Nowhere in the document may be NUL characters, lone surrogates, integers outside
    int64, NaN, Infinity, or more than 64 levels of nesting.
    """

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    index: Annotated[int, Field(ge=0, le=2**63 - 1)] = Field(
        description="The poster's own number of the pin; need not be unique.", examples=[7528]
    )
    unique_id: Annotated[
        str, Field(pattern=UUID_PATTERN, min_length=_UUID_LENGTH, max_length=_UUID_LENGTH)
    ] = Field(
        description="What makes it one pin: a UUID as 8-4-4-4-12 hexadecimal digits, in any case. "
        "A pin posted again replaces its older version.",
        examples=["fbe53c66-3442-4773-b19e-d3ec6f54dddf"],
    )
    title: Text | None = Field(
        None, description="Headline of the pin.", examples=["Christmas Décor That Feels Like a Winter Cabin"]
    )
    description: Text | None = Field(
        None, description="What the poster says about it.", examples=["Ten ideas for an afternoon at home."]
    )
    poster_name: Text | None = Field(None, description="Who posted it.", examples=["Our Mindful Life"])
    follower_count: Text | None = Field(
        None, description="The poster's followers as the site prints them.", examples=["848", "35k", "1.5M"]
    )
    tag_list: Text | None = Field(
        None, description="Tags, joined by commas.", examples=["Christmas Decor,Winter,DIY"]
    )
    is_image_or_video: Text | None = Field(
        None,
        description="Kind of media.",
        examples=["image", "video", "multi-video(story page format)"],
    )
    image_src: Text | None = Field(
        None,
        description="URL of the image. A pin without one is accepted, and kept apart as rejected: no_image.",
        examples=["https://i.pinimg.com/originals/9a/8f/23/9a8f2394c29d0b1c7f5bd0e1f9a2f2f1.jpg"],
    )
    downloaded: Annotated[int, Field(ge=0, le=1)] | None = Field(
        None, description="1 when the poster holds a copy of the image, else 0.", examples=[1]
    )
    save_location: Text | None = Field(
        None, description="Where that copy is.", examples=["Local save in /data/christmas"]
    )
    category: Text | None = Field(None, description="What it is about.", examples=["christmas"])

    @model_validator(mode="after")
    def _obey_document_rules(self) -> Self:
        for broken in document.violations(dict(self)):
            raise PydanticCustomError(
                "document_rule", "{field}: {message}", {"field": broken.field, "message": broken.message}
            )
        return self
