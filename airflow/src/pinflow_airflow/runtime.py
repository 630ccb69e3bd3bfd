"""The containers, in the order in which they start; tests/contract holds them to the compose files."""

# The DAG that starts them.
RUNTIME = "pins_runtime"
SERVERS = ("kafka", "s3", "cassandra", "postgres", "redis")
MIGRATIONS = "migrate"
SERVICES = ("ingest-api", "s3-sink", "stream-etl", "edge")
OBSERVERS = (
    "pushgateway", "push-proxy", "alertmanager", "node-exporter", "postgres-exporter", "redis-exporter",
    "statsd-exporter", "prometheus", "grafana",
)  # fmt: skip
# What the tasks that use these words stand on, but for the scheduler and the API server that run them.
SCHEDULING = ("socket-proxy", "airflow-postgres", "airflow-dag-processor", "airflow-triggerer")
WATCHED = (*SERVERS, *SERVICES, *OBSERVERS, *SCHEDULING)

# Nodes join one after the other, as `docker compose up` with cluster.env sees to; watched where they are.
CLUSTER = (
    "kafka-2", "kafka-3", "cassandra-2", "cassandra-3", "spark-master", "spark-worker-1", "spark-worker-2",
)  # fmt: skip

# Those that say at /health/ready what they wait for, with their ports.
TELLING = {"ingest-api": 8000, "s3-sink": 8001, "stream-etl": 8002}
