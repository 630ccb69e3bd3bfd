#!/bin/sh
# Makes the database on the first start, then becomes the server.
set -eu
data=/var/lib/postgresql/data
if [ ! -e "$data/PG_VERSION" ]; then
    # Made beside its place: an interrupted initdb leaves nothing that looks whole.
    rm -rf "$data.partial"
    initdb --pgdata "$data.partial" --username pinflow --pwfile /run/secrets/postgres-admin-password \
        --auth scram-sha-256 --encoding UTF8 --locale C.UTF-8 --data-checksums >/dev/null
    echo "CREATE DATABASE $DATABASE" | postgres --single -D "$data.partial" postgres >/dev/null
    mv "$data.partial" "$data"
fi
exec postgres -D "$data" -c config_file=/etc/pinflow/postgresql.conf -c hba_file=/etc/pinflow/pg_hba.conf
