#!/bin/sh
# check.sh COMMAND…: a health check that, until it has succeeded once since the container's start, says whether the
# container is at work: a server that reads its log again, or copies from its neighbours, answers late and must not be
# restarted for that. Bytes are its evidence, not words: what hangs moves none.
set -eu
answered=/tmp/check-answered
moved_before=/tmp/check-moved

moved() { # bytes that all processes here have read and written
    sum=0
    for io in /proc/[0-9]*/io; do
        while read -r name bytes; do
            case $name in rchar: | wchar:) sum=$((sum + bytes)) ;; esac
        done <"$io" || continue # it has ended
    done 2>/dev/null
    echo "$sum"
}

if said=$("$@" 2>&1); then
    : >"$answered"
    exit 0
fi
if [ ! -e "$answered" ]; then
    now=$(moved)
    before=$(cat "$moved_before" 2>/dev/null || echo "$now")
    echo "$now" >"$moved_before"
    mebibytes=$(((now - before) / 1048576))
    # Less than that moves who only writes its log.
    if [ "$mebibytes" -ge 1 ]; then said="progress: $mebibytes MiB read and written since the last look"; fi
fi
echo "$said"
exit 1
