# Sourced by the scripts beside it; they set `root`.

told() { # what compose would take for a variable: the environment, .env at the root, the default
    if printenv "$1"; then return; fi
    for file in "$root/.env" "$root/deploy/compose/.env"; do
        [ ! -e "$file" ] || sed -n "s/^$1=//p" "$file" | tail -n 1
    done | head -n 1
}
