#!/bin/sh
# Makes an authority and the certificate that it signs for the stack's servers, once, beside the secrets: for tls.env.
# To renew the certificate: delete tls-server, run this, `docker compose … up --wait --force-recreate`.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
. "$root/deploy/compose/told.sh"
dir=$(told PINFLOW_SECRETS_DIR)
cd "${dir:?run make secrets}"
# The directory is its owner's alone; servers read the files as whichever user they run as.
umask 022

if [ ! -s tls-authority.pem ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Pinflow's authority" \
        -addext keyUsage=critical,keyCertSign,cRLSign -keyout tls-authority-key -out tls-authority.pem
    rm -f tls-server
fi
if [ ! -s tls-server ]; then
    names=DNS:localhost
    for name in kafka kafka-2 kafka-3 cassandra cassandra-2 cassandra-3; do
        names=$names,DNS:$name
    done
    openssl req -x509 -CA tls-authority.pem -CAkey tls-authority-key -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -days 825 -subj /CN=pinflow -addext "subjectAltName=$names" -addext basicConstraints=critical,CA:FALSE \
        -addext extendedKeyUsage=serverAuth,clientAuth -keyout .tls-key.partial -out .tls-certificate.partial
    # Key and chain in one file, which Kafka and Cassandra want.
    cat .tls-key.partial .tls-certificate.partial >.tls-server.partial
    mv .tls-server.partial tls-server
    rm .tls-key.partial .tls-certificate.partial
fi
echo "certificates: in $dir"
