#!/bin/sh
exec python3 /usr/share/grafana/stub.py
