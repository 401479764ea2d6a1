#!/usr/bin/env bash
# Makes the virtual environment DIRECTORY with PYTHON, unless it is there.
set -euo pipefail
directory=$1 python=$2

# Without ensurepip, venv fails after it has linked the interpreter: only pip says that it is whole.
[[ -x $directory/bin/python && -x $directory/bin/pip ]] && exit

"$python" - <<'PYTHON'
import sys

if sys.version_info < (3, 11):
    sys.exit(f"livebatch needs Python 3.11 or newer, not {sys.version.split()[0]}: set PYTHON.")
PYTHON
"$python" -m venv --clear "$directory"
