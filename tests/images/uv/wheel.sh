#!/bin/sh
# Put uv and uvx, as the repository pins them, into the given folder: wheel.sh UV REQUIREMENTS FOLDER.
set -eu
"$1" pip install --quiet --no-deps --only-binary :all: --require-hashes --requirement "$2" --target "$3/wheel"
mv "$3/wheel/bin/uv" "$3/wheel/bin/uvx" "$3"
rm -rf "$3/wheel"
