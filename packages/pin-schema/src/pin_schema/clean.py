"""CleanPin: what the catalogue and the live windows hold, whatever the client wrote."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

_Int32 = Annotated[int, Field(ge=0, le=2**31 - 1)]
_Int64 = Annotated[int, Field(ge=0, le=2**63 - 1)]


class CleanPin(BaseModel):
    """A pin with an image, after cleaning; null means unknown."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    idx: _Int64 = Field(description="The pin's `index` as posted.")
    title: str | None
    poster_name: str | None
    category: str | None
    follower_count: _Int64 | None = Field(description="Followers of the poster; null when unknown, never 0.")
    description: str | None
    image_src: str = Field(description="URL of the image; a pin without one is rejected.")
    is_image_or_video: str | None = Field(description="Kind of media, as posted.")
    tag_list: list[str] | None = Field(description="Tags in the order posted; null when there are none.")
    unique_id: UUID
    downloaded: bool | None
    save_location: str | None = Field(description="Where the copy is, without the words before it.")
    event_time: AwareDatetime = Field(description="When the broker appended the pin: milliseconds, UTC.")
    source_log: str = Field(description="Log that the pin came from, the short name of the topic's id.")
    source_partition: _Int32 = Field(description="Partition of the topic that the pin came from.")
    source_offset: _Int64 = Field(description="Offset in that partition.")
