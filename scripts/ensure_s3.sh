#!/usr/bin/env bash
# Prints the path of an S3 server for tests, installing one in an environment of its own, which
# PYTHON makes: what it needs does not go with what livebatch needs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
directory=$PWD/.venv/s3 pins=scripts/s3_server.txt

scripts/make_venv.sh "$directory" "${1:-python3}"
if ! cmp -s "$pins" "$directory/installed"; then
  "$directory/bin/python" -m pip install --disable-pip-version-check -r "$pins" >&2
  cp "$pins" "$directory/installed"
fi
echo "$directory/bin/moto_server"
