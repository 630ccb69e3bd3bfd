#!/bin/sh
# versitygw takes its root key from its environment alone; the file keeps it out of the container's description.
set -eu
mkdir -p /data/iam /data/root
ROOT_SECRET_KEY=$(cat /run/secrets/s3-root-secret-key)
export ROOT_SECRET_KEY
exec versitygw --port :7070 --health /health --iam-dir /data/iam --quiet posix /data/root
