#!/bin/sh
# Makes the database anew at every start, then becomes the server.
set -eu
data=$(mktemp -d)
password=$(cat /run/secrets/postgres-admin-password)
initdb --pgdata "$data" --username provider --auth reject --encoding UTF8 --locale C.UTF-8 >/dev/null
# The rights of the master user of RDS.
postgres --single -D "$data" -c password_encryption=scram-sha-256 postgres >/dev/null <<SQL
CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD '$password'
GRANT pg_monitor TO master WITH ADMIN OPTION
CREATE DATABASE live OWNER master
SQL
# A key that others may read is refused.
install -m 600 /run/secrets/managed-postgres "$data/server.pem"
exec postgres -D "$data" -c "listen_addresses=*" -c unix_socket_directories=/tmp -c hba_file=/etc/pinflow/pg_hba.conf \
    -c ssl=on -c "ssl_cert_file=$data/server.pem" -c "ssl_key_file=$data/server.pem"
