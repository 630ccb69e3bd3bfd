#!/bin/sh
# Makes every credential of the compose stack, once: a file that is there stays as it is, and a deleted one is made anew
# (then `docker compose up` again, which runs the migrations and so gives the accounts their new passwords).
# With PINFLOW_SEED_FILE they are not random but made of that file and their name: the same on every host that has the seed.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
. "$root/deploy/compose/told.sh"
told_dir=$(told PINFLOW_SECRETS_DIR)
dir=${told_dir:-$root/deploy/compose/secrets}

# Only its owner may enter the directory, so the files may be readable by whichever user a container runs as.
umask 022
mkdir -p "$dir"
chmod 700 "$dir"
made=0
seed=${PINFLOW_SEED_FILE:-}
if [ -n "$seed" ] && ! { [ -s "$seed" ] && [ -r "$seed" ] && command -v openssl >/dev/null; }; then
    echo "secrets: none made of the seed: $seed is empty or cannot be read, or openssl is missing" >&2
    exit 1
fi

once() { # in a form of so many bytes (at most 32), unless it is there
    [ -s "$dir/$1" ] && return
    bytes "$1" | head -c "$3" | "$2" >"$dir/.$1.partial"
    [ -s "$dir/.$1.partial" ] || { echo "secrets: nothing came of $1" >&2 && exit 1; }
    mv "$dir/.$1.partial" "$dir/$1"
    made=$((made + 1))
}
bytes() {
    if [ -n "$seed" ]; then
        { cat "$seed" && printf ':%s' "$1"; } | openssl dgst -sha256 -binary
    else
        head -c 32 /dev/urandom
    fi
}
hex() { od -An -v -tx1 | tr -d ' \n'; }
url_base64() { base64 | tr '+/' '-_' | tr -d '\n'; }
value() { cat "$dir/$1"; }
derived() { # from standard input, always: it holds what is in other files
    cat >"$dir/.$1.partial"
    mv "$dir/.$1.partial" "$dir/$1"
}
digest() { printf %s "$(value "$1")" | sha256sum | cut -d' ' -f1; }

for name in kafka-admin kafka-ingest kafka-sink kafka-stream kafka-auditor \
    cassandra-admin cassandra-batch cassandra-auditor \
    postgres-admin postgres-stream postgres-exporter postgres-auditor redis-batch redis-exporter grafana-admin \
    airflow-postgres-admin airflow-postgres airflow-admin batch-push airflow-push; do
    once "$name-password" hex 24
done
for name in s3-root s3-sink s3-batch airflow-api; do
    once "$name-secret-key" hex 24
done
# SHA-512 wants 64 letters; a Fernet key is 32 bytes in this form.
once airflow-jwt-secret hex 32
once airflow-fernet-key url_base64 32

# In an address a password that somebody else made may hold what ends it: every byte is escaped.
escaped() { printf %s "$(value "$1")" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g'; }
place="$(told POSTGRES_ADDRESS)/$(told POSTGRES_DATABASE)?$(told POSTGRES_TLS)"
for name in "admin:$(told POSTGRES_ADMIN)" stream:stream_etl auditor:auditor; do
    file=postgres-${name%%:*}
    printf 'postgresql://%s:%s@%s' "${name#*:}" "$(escaped "$file-password")" "$place" | derived "$file-dsn"
done
printf 'postgresql+psycopg2://airflow:%s@airflow-postgres:5432/airflow' "$(value airflow-postgres-password)" |
    derived airflow-postgres-dsn
# What a client that logs in sends.
for account in batch:batch-etl airflow:airflow; do
    printf '%s:%s' "${account#*:}" "$(value "${account%:*}-push-password")" | base64 | tr -d '\n' |
        derived "${account%:*}-push-login"
done
printf 'redis://batch-etl:%s@redis:6379/0' "$(value redis-batch-password)" | derived redis-batch-url
printf '{"redis://exporter@redis:6379": "%s"}' "$(value redis-exporter-password)" | derived redis-exporter-passwords
derived redis-users <<USERS
user default off
user batch-etl on #$(digest redis-batch-password) ~pinflow:staging:* resetchannels -@all +@read +@write +@connection +@transaction -@dangerous +info
user exporter on #$(digest redis-exporter-password) resetchannels -@all +@connection -@dangerous +info +config|get +slowlog|get +slowlog|len +latency|latest +client|list +dbsize
USERS

if [ -z "$told_dir" ]; then
    # A last line without its end is not to be continued.
    [ -z "$(tail -c1 "$root/.env" 2>/dev/null)" ] || echo >>"$root/.env"
    printf 'PINFLOW_SECRETS_DIR=%s\n' "$dir" >>"$root/.env"
fi
echo "secrets: $made made, in $dir"
