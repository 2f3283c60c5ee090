# Shared by the scripts of this folder: paths, messages, and the two environments.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=${BARNABEENET_CACHE:-$ROOT/.cache}
HA_ENV=$ROOT/.venv
SIDECAR_ENV=$ROOT/.venv-sidecar

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

die() {
    printf '\033[1;31merror:\033[0m %s\n' "$*" >&2
    exit 1
}

# Runs a command with its output kept aside and shown only when it fails.
quietly() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}
