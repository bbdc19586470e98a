#!/usr/bin/env bash
# schemathesis and openapi-python-client live in a venv of their own: they bring forty packages
# and a pytest plugin that nothing else here needs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/../../.venvs/contract"
if ! cmp -s "$here/contract.txt" "$venv/made-from.txt"; then
    rm -rf "$venv"
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --no-deps -r "$here/contract.txt" \
        2> >(grep -v '^WARNING: Location' >&2)
    cp "$here/contract.txt" "$venv/made-from.txt"
fi
