#!/bin/sh
# Runs Cassandra's nodetool on this node: docker compose exec cassandra sh /etc/pinflow/nodetool.sh tpstats
set -eu
# A small heap and one compiler: it shares the node's memory limit. Its history goes where may be written.
exec java -Xmx96m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 @/etc/pinflow/jdk17.options -Duser.home=/tmp \
    -Dlogback.configurationFile=/etc/pinflow/logback.xml -cp '/opt/cassandra/lib/*' \
    org.apache.cassandra.tools.NodeTool --port 7199 "$@"
