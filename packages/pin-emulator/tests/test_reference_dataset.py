"""The reference dataset, counted without the help of the code that made it."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from typing import Any

import pytest
from pin_emulator.counts import REFERENCE_COUNTS, count
from pin_emulator.reference import pins
from pin_schema import wire

# Of the dataset as NDJSON (`pin-emulator reference --output pins.ndjson`). Whatever changes it makes another
# dataset, which no measurement with this one can be compared with.
GOLDEN_SHA256 = "1248c0b5dd0d9e5e58cfbf131116e011c1820da5264f0a467ccd2f9b63f4dc7d"

FIELDS = [
    "index",
    "unique_id",
    "title",
    "description",
    "poster_name",
    "follower_count",
    "tag_list",
    "is_image_or_video",
    "image_src",
    "downloaded",
    "save_location",
    "category",
]


def digest() -> str:
    return hashlib.sha256(b"".join(pin + b"\n" for pin in pins())).hexdigest()


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """The distinct pins, in the order of their first posts."""
    seen: dict[bytes, dict[str, Any]] = {}
    for pin in pins():
        if pin not in seen:
            seen[pin] = json.loads(pin)
    return list(seen.values())


def column(rows: list[dict[str, Any]], field: str) -> Counter[Any]:
    return Counter(row.get(field) for row in rows)


def test_the_dataset_is_the_golden_one_byte_for_byte() -> None:
    assert digest() == GOLDEN_SHA256


def test_a_fresh_interpreter_with_another_hash_seed_makes_the_same_bytes() -> None:
    script = (
        "import hashlib\n"
        "from pin_emulator.reference import pins\n"
        "print(hashlib.sha256(b''.join(pin + b'\\n' for pin in pins())).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "4242"}
    command = [sys.executable, "-c", script]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == digest()


def test_the_posts_are_20226_and_the_distinct_pins_11154(rows: list[dict[str, Any]]) -> None:
    assert len(pins()) == 20_226
    assert len(rows) == 11_154
    assert len({row["unique_id"] for row in rows}) == 11_154
    assert sorted(row["index"] for row in rows) == list(range(11_154))


def test_330_pins_have_no_image_and_10824_are_clean(rows: list[dict[str, Any]]) -> None:
    images = column(rows, "image_src")
    assert (images["Image src error."], images[None]) == (323, 7)
    assert sum(row["image_src"] not in {None, "Image src error."} for row in rows) == 10_824


def test_categories_are_as_printed(rows: list[dict[str, Any]]) -> None:
    assert column(rows, "category") == {
        "christmas": 999,
        "tattoos": 970,
        "quotes": 910,
        "art": 892,
        "education": 863,
        "home-decor": 861,
        "travel": 859,
        "mens-fashion": 852,
        "vehicles": 838,
        "diy-and-crafts": 830,
        "finance": 786,
        "event-planning": 748,
        "beauty": 746,
    }
    assert all(row["save_location"] == f"Local save in /data/{row['category']}" for row in rows)


def test_media_kinds_and_downloads_are_as_printed(rows: list[dict[str, Any]]) -> None:
    media = {"image": 9_920, "multi-video(story page format)": 895, "video": 332, None: 7}
    assert column(rows, "is_image_or_video") == media
    assert column(rows, "downloaded") == {1: 10_823, 0: 331}


def test_a_pin_without_an_image_was_not_downloaded(rows: list[dict[str, Any]]) -> None:
    imageless = [row for row in rows if row["image_src"] in {None, "Image src error."}]
    assert {row["downloaded"] for row in imageless} == {0}


def test_the_story_description_stands_on_story_pages_and_nowhere_else(rows: list[dict[str, Any]]) -> None:
    descriptions = column(rows, "description")
    assert descriptions["No description available Story format"] == 895
    assert descriptions["No description available"] == 182
    for row in rows:
        story = row["is_image_or_video"] == "multi-video(story page format)"
        assert story == (row["description"] == "No description available Story format")


def test_unknown_posters_have_neither_followers_nor_a_title(rows: list[dict[str, Any]]) -> None:
    unknown = [row for row in rows if row.get("poster_name") == "User Info Error"]
    assert len(unknown) == 88
    assert {(row["follower_count"], row["title"]) for row in unknown} == {
        ("User Info Error", "No Title Data Available")
    }
    assert column(rows, "follower_count")["User Info Error"] == 88
    assert column(rows, "title")["No Title Data Available"] == 88


def test_171_pins_have_no_tags(rows: list[dict[str, Any]]) -> None:
    assert column(rows, "tag_list")["N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"] == 171


@pytest.mark.parametrize(
    ("field", "printed"),
    [
        ("follower_count", {"2M": 375, "2k": 342, "4k": 261, "942k": 244, "5k": 235, "7k": 230}),
        (
            "poster_name",
            {
                "YourTango": 244,
                "Bored Panda": 140,
                "Our Mindful Life": 88,
                "The Minds Journal": 86,
                "Walmart": 86,
                "BuzzFeed": 81,
            },
        ),
    ],
)
def test_the_six_most_frequent_are_as_printed_and_all_others_rarer(
    rows: list[dict[str, Any]], field: str, printed: dict[str, int]
) -> None:
    values = column(rows, field)
    assert {value: values[value] for value in printed} == printed
    others = [value for value in values if value not in {*printed, "User Info Error", None}]
    assert max(values[value] for value in others) < min(printed.values())


def test_a_poster_always_has_the_same_followers(rows: list[dict[str, Any]]) -> None:
    followers = defaultdict(set)
    for row in rows:
        if "poster_name" in row:
            followers[row["poster_name"]].add(row["follower_count"])
    assert {len(counts) for counts in followers.values()} == {1}
    assert followers["YourTango"] == {"942k"}
    assert followers["Bored Panda"] == {"2M"}
    assert len(followers) > 3_000


def test_the_seven_pins_with_nulls_came_without_a_poster_name(rows: list[dict[str, Any]]) -> None:
    nulls = [row for row in rows if row["image_src"] is None]
    assert len(nulls) == 7
    assert all("poster_name" not in row and row["is_image_or_video"] is None for row in nulls)
    assert sum("poster_name" not in row for row in rows) == 7


def test_the_published_counts_are_what_the_bytes_hold() -> None:
    assert count(pins()) == REFERENCE_COUNTS


def test_the_published_counts_add_up() -> None:
    c = REFERENCE_COUNTS
    assert c.distinct + c.repeats == c.posted
    assert c.clean + c.rejected == c.distinct
    assert c.image_errors + c.image_nulls == c.rejected
    assert sum(c.categories.values()) == sum(c.media.values()) == sum(c.downloaded.values()) == c.distinct


def test_every_pin_meets_the_contract_without_unknown_fields() -> None:
    for pin in pins():
        _, unknown_fields = wire.decode(pin)
        assert unknown_fields == 0


def test_a_pin_is_compact_json_on_one_line_with_its_fields_in_order() -> None:
    for pin in dict.fromkeys(pins()):
        row = json.loads(pin)
        assert list(row) == [field for field in FIELDS if field in row]
        assert json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() == pin


def test_text_is_not_only_ascii(rows: list[dict[str, Any]]) -> None:
    text = "".join(
        f"{row['title']}{row.get('poster_name')}{row['description']}{row['tag_list']}" for row in rows
    )
    for sign in ("я", "®", "é", "ü", "😍"):
        assert sign in text
    share = sum(not pin.isascii() for pin in pins()) / len(pins())
    assert 0.2 < share < 0.6


def test_a_pin_has_the_size_of_a_real_one() -> None:
    assert 640 < sum(map(len, pins())) / len(pins()) < 680


def test_repeats_come_all_along_the_sequence() -> None:
    seen: set[bytes] = set()
    repeats = []
    for pin in pins():
        repeats.append(pin in seen)
        seen.add(pin)
    tenths = [sum(repeats[start : start + 2_000]) / 2_000 for start in range(0, 20_000, 2_000)]
    assert tenths == sorted(tenths)
    assert 0.0 < tenths[0] < 0.1
    assert tenths[-1] < 0.9
