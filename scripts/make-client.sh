#!/usr/bin/env bash
# Makes a typed Python client of the API out of its OpenAPI.
#
#   scripts/make-client.sh [FOLDER]      FOLDER: the package, default build/prosa_client; what is there is replaced
#
# It needs httpx and attrs where it is used. docs/examples/ticket.py shows how.
set -euo pipefail
FOLDER=$(realpath -m "${1:-build/prosa_client}")
cd "$(dirname "$0")/.."
[ -x .venv/client/bin/openapi-python-client ] || scripts/bootstrap.sh test
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
# The routes are the same in every house: one without a state, so that nothing of this one is read.
PROSA_STATE_DIR=$WORK .venv/bin/python -c '
import json
from api.main import build
from ura.settings import Settings
print(json.dumps(build(Settings()).openapi()))' >"$WORK/openapi.json"
# Files are bytes; everything else has a type. A part that cannot be made is an error.
cat >"$WORK/config.yaml" <<'YAML'
content_type_overrides: {audio/wav: application/octet-stream, application/zip: application/octet-stream}
post_hooks: []
YAML
mkdir -p "$(dirname "$FOLDER")"
.venv/client/bin/openapi-python-client generate --path "$WORK/openapi.json" --config "$WORK/config.yaml" \
  --meta none --output-path "$FOLDER" --overwrite --fail-on-warning >"$WORK/log" 2>&1 || { cat "$WORK/log" >&2; exit 1; }
touch "$FOLDER/py.typed"
