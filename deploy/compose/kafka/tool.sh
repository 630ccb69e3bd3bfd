#!/bin/sh
# Runs one of Kafka's own tools as the superuser:
#   docker compose exec kafka sh /etc/pinflow/tool.sh topics --describe --topic pins
set -eu
case "${1:-}" in
    topics) class=org.apache.kafka.tools.TopicCommand ;;
    consumer-groups) class=org.apache.kafka.tools.consumer.group.ConsumerGroupCommand ;;
    console-consumer) class=org.apache.kafka.tools.consumer.ConsoleConsumer ;;
    *) echo "usage: tool.sh topics|consumer-groups|console-consumer [OPTION…]; the option --help lists them" >&2; exit 64 ;;
esac
shift
# A small heap and one compiler: it shares the broker's memory limit.
exec java -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*' "$class" \
    --bootstrap-server "$HOST_NAME:9092" --command-config /etc/pinflow/tool.properties "$@"
