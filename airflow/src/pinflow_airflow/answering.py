"""Whether one of Airflow's processes is well, for a container's health check.

    python -m pinflow_airflow.answering scheduler

The API server tells it for all of them, by their heartbeats in the database: most have no port of their own.
"""

import json
import sys
from urllib.request import urlopen

API = "http://airflow-api-server:8080/api/v2/monitor/health"
TIMEOUT_SECONDS = 4


def main() -> None:
    """End with 1 and a word when the process of that name has no fresh heartbeat."""
    name = sys.argv[1]
    with urlopen(API, timeout=TIMEOUT_SECONDS) as answer:
        told = json.load(answer)[name]
    if told["status"] != "healthy":
        sys.exit(f"{name} is {told['status']}: {told}")


if __name__ == "__main__":
    main()
