#!/usr/bin/env bash
# Gumnut's own SDK, of the days of the contract and the newest that was tested: two versions of one
# package, so each has a venv.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for version in 0.85.0 0.178.0; do
    venv="$here/../../.venvs/gumnut-$version"
    if ! cmp -s "$here/gumnut.txt" "$venv/made-from.txt"; then
        rm -rf "$venv"
        "${PYTHON:-python3}" -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --no-deps -r "$here/gumnut.txt" \
            "gumnut-sdk==$version" 2> >(grep -v '^WARNING: Location' >&2)
        cp "$here/gumnut.txt" "$venv/made-from.txt"
    fi
done
