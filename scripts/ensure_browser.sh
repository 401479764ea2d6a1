#!/usr/bin/env bash
# Prints the path of a Chromium-family browser, installing Debian's when that is possible.
set -euo pipefail

find_browser() {
  local candidate
  for candidate in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable \
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" \
    "/Applications/Chromium.app/Contents/MacOS/Chromium"; do
    if [[ -n $candidate ]] && command -v "$candidate"; then return; fi
  done
  return 1
}

find_browser && exit

if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
  echo "No browser found: installing Debian's chromium." >&2
  {
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium
  } >&2
  find_browser && exit
fi

echo "No browser found. Install Chromium or Google Chrome, or set CHROMIUM to its path." >&2
exit 1
