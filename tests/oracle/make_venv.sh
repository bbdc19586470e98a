#!/usr/bin/env bash
# The insightface oracle lives in a venv of its own: it pulls opencv-python and CPU onnxruntime,
# which lie in the same folders as our builds and overwrite them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/../../.venvs/insightface"
if ! cmp -s "$here/insightface.txt" "$venv/made-from.txt"; then
    rm -rf "$venv"
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --no-deps -r "$here/insightface.txt" \
        2> >(grep -v '^WARNING: Location' >&2)
    cp "$here/insightface.txt" "$venv/made-from.txt"
fi
