"""What to look at and to try on a running stack."""

from collections.abc import Mapping

from native_stack.settings import NativeSettings

PIN = '{"index": 1, "unique_id": "fbe53c66-3442-4773-b19e-d3ec6f54dddf", "image_src": "https://a.b/c.jpg"}'
CQL = "SELECT title, poster_name, follower_count FROM pins WHERE category = 'art' LIMIT 5"
SQL = "SELECT * FROM pin_windows ORDER BY window_start DESC, pins DESC LIMIT 5"


def where_next(settings: NativeSettings) -> str:
    """What to look at and to try, to be copied line by line."""
    ready = " ".join(
        f"http://127.0.0.1:{port}/health/ready"
        for port in (settings.ingest_port, settings.sink_port, settings.stream_port)
    )
    places: Mapping[str, str] = {
        "post a pin": f"curl -d '{PIN}' -H 'Content-Type: application/json' {settings.ingest_url}/pin/",
        "what ingest-api takes": f"{settings.ingest_url}/docs",
        "is it ready, and if not why": ready,
        "the catalogue": f'make cql Q="{CQL}"',
        "the live windows": f'make sql Q="{SQL}"',
        "load what is new": "make etl",
        "more traffic": ".venv/bin/pin-emulator stream --rate 50",
        "what runs, what it says, the end": "make status · make logs P=s3-sink · make down",
    }
    width = max(map(len, places))
    return "\n".join(f"{what:<{width}}  {where}" for what, where in places.items())
