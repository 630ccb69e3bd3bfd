import subprocess
import sys
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pin_schema import reference
from pin_schema.testing import raw_record, spark_outcomes

# fmt: off
PIECES = st.sampled_from([
    "35", "1.5", "k", "M", "b", ",", ", ", "1,234", ".", "-", "9223372036854775807", "\u0663", "\u212a", "a",
    " ", "\t", "\n", "\u00a0", "\u3000", "\u0085", "\u200b", "\x1c", "\0", "\x7f", "~", "é", "Ё", "🎄",
    "Local save in ", "Local save in", "/data", "User Info Error", "Image src error.",
    "No Title Data Available", "No description available", " Story format",
    "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e",
])
# fmt: on
TEXTS = st.none() | st.lists(PIECES, max_size=5).map("".join) | st.text(max_size=12)
COUNTS = st.from_regex(r"\A[0-9]{0,21}(,[0-9]{3})?(\.[0-9]{0,19})?[kKmMbBtT]?\Z")
TEXT_FIELDS = [
    "title",
    "description",
    "poster_name",
    "is_image_or_video",
    "image_src",
    "save_location",
    "category",
]
PINS = st.fixed_dictionaries(
    dict.fromkeys([*TEXT_FIELDS, "tag_list"], TEXTS)
    | {"follower_count": TEXTS | COUNTS, "downloaded": st.sampled_from([None, 0, 1])}
    | {"unique_id": st.uuids().map(str) | st.uuids().map(lambda uuid: str(uuid).upper())}
)


def generated(number: int) -> list[dict[str, Any]]:
    """The same raw pins every time, collected so that Spark can take them at once."""
    pins: list[dict[str, Any]] = []

    @settings(
        max_examples=number,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(PINS)
    def collect(pin: dict[str, Any]) -> None:
        pins.append(raw_record(len(pins), **pin))

    collect()
    return pins


def test_spark_and_the_reference_agree_on_generated_pins() -> None:
    pins = generated(600)
    outcomes = spark_outcomes(pins)
    assert [reference.clean(pin) for pin in pins] == outcomes
    rejected = sum(isinstance(outcome, reference.Rejected) for outcome in outcomes)
    assert 0 < rejected < len(outcomes), "both sides must be tried"


def test_models_wire_and_reference_import_no_spark() -> None:
    program = (
        "import sys, pin_schema.wire, pin_schema.raw, pin_schema.clean, pin_schema.reference;"
        "sys.exit('pyspark' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
