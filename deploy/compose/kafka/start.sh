#!/bin/sh
# Formats the storage on the first start, then becomes the broker.
set -eu
libs='/opt/kafka/libs/*'
config=/etc/pinflow/server.properties
if [ ! -e /var/lib/kafka/data/meta.properties ]; then
    password=$(cat /run/secrets/kafka-admin-password)
    java -Xmx256m -cp "$libs" kafka.tools.StorageTool format --ignore-formatted --config "$config" \
        --cluster-id "$CLUSTER_ID" --add-scram "SCRAM-SHA-512=[name=pinflow-admin,password=$password]" >/dev/null
fi
exec java @/etc/pinflow/jvm.options -javaagent:/opt/jmx-agent/jmx-agent.jar=9404:/etc/pinflow/jmx.yaml \
    -cp "$libs" kafka.Kafka "$config"
