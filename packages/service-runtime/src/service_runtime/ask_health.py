"""`health ready 8001`: what a service of this machine says of itself; for a container's health check too."""

import argparse
import sys
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

TIMEOUT_SECONDS = 4


def main() -> int:
    """Print the answer of `/health/live` or `/health/ready`; exit 0 for yes, 1 for no or no answer."""
    parser = argparse.ArgumentParser(prog="health", description="Ask a service of this machine how it is.")
    parser.add_argument("what", choices=["live", "ready"], help="does it run; is it ready, and if not why")
    parser.add_argument("port", type=int, help="ingest-api 8000, s3-sink 8001, stream-etl 8002")
    told = parser.parse_args()
    status, said = _answer(f"http://127.0.0.1:{told.port}/health/{told.what}")
    print(said, file=sys.stdout if status else sys.stderr)
    return 0 if status == 200 else 1  # noqa: PLR2004 (HTTP's own)


def _answer(url: str) -> tuple[int, str]:
    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 (of this machine)
            return answer.status, answer.read().decode()
    except HTTPError as refusal:
        return refusal.code, refusal.read().decode()
    except (URLError, TimeoutError) as error:
        return 0, f"{url} does not answer: {error}"
