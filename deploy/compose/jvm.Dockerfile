# Kafka and Cassandra: the official images with the JMX exporter, and a data directory for a volume.
# Build context: the repository's root.
ARG PYTHON_IMAGE
ARG KAFKA_IMAGE
ARG CASSANDRA_IMAGE
FROM ${PYTHON_IMAGE} AS jmx-agent
RUN apt-get update && apt-get install --yes --no-install-recommends openjdk-17-jre-headless maven
WORKDIR /jars
COPY deploy/observability/jmx/pom.xml deploy/observability/jmx/SHA256SUMS ./
RUN --mount=type=cache,target=/root/.m2/repository \
    mvn --batch-mode --quiet dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=/jars \
 && sha256sum --check --strict --quiet SHA256SUMS && mv ./*.jar jmx-agent.jar

FROM ${KAFKA_IMAGE} AS kafka
LABEL org.opencontainers.image.title="kafka" \
      org.opencontainers.image.description="The official Kafka with the JMX exporter."
USER root
RUN mkdir -p /var/lib/kafka/data && chown -R 1000:1000 /var/lib/kafka
COPY --from=jmx-agent /jars/jmx-agent.jar /opt/jmx-agent/
USER 1000:1000

FROM ${CASSANDRA_IMAGE} AS cassandra
LABEL org.opencontainers.image.title="cassandra" \
      org.opencontainers.image.description="The official Cassandra with the JMX exporter."
USER root
RUN mkdir -p /var/lib/cassandra && chown -R 999:999 /var/lib/cassandra
COPY --from=jmx-agent /jars/jmx-agent.jar /opt/jmx-agent/
USER 999:999
