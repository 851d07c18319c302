#!/usr/bin/env bash
# Whether the losses in a folder have converged: bash shells/cauchy_test.sh -f losses -t 0.001, from any folder; -s FILE
# runs a Python script of your own with both in place of our rule. Other options of the verb are passed on.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
KUPDATE=$HERE/.venv/bin/kupdate
test -x "$KUPDATE" || KUPDATE=kupdate
exec "$KUPDATE" check convergence "$@"
