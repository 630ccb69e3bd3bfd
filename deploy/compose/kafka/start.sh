#!/bin/sh
# Formats the storage on the first start, then becomes the broker.
set -eu
libs='/opt/kafka/libs/*'
config=/etc/pinflow/server.properties
if [ ! -e /var/lib/kafka/data/meta.properties ]; then
    # The tool reads its last option from a file of our own: whoever lists processes sees every argument.
    account=/tmp/account
    (umask 077 && printf -- '--add-scram\nSCRAM-SHA-512=[name=pinflow-admin,password=%s]\n' \
        "$(cat /run/secrets/kafka-admin-password)" >"$account")
    java -Xmx256m -cp "$libs" kafka.tools.StorageTool format --ignore-formatted --config "$config" \
        --cluster-id "$CLUSTER_ID" "@$account" >/dev/null
    rm "$account"
fi
exec java @/etc/pinflow/jvm.options -javaagent:/opt/jmx-agent/jmx-agent.jar=9404:/etc/pinflow/jmx.yaml \
    -cp "$libs" kafka.Kafka "$config"
