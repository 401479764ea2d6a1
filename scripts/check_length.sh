#!/usr/bin/env bash
# A file that has outgrown 400 lines holds more than one idea.
set -euo pipefail
find "$@" -name '*.py' -exec awk '
  FNR == 400 { print FILENAME ": 400 lines or more"; too_long = 1 }
  END { exit too_long }
' {} +
