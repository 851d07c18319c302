#!/usr/bin/env bash
# Whether training on each of three datasets takes no longer than eight hours on average. It reads datasets/ and writes
# output/ and losses/ where it is called; options of `kupdate check time` and `kupdate train` may stand behind it.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# One process a GPU: all that CUDA_VISIBLE_DEVICES leaves, unless GPUS_PER_NODE says how many.
KUPDATE=$HERE/.venv/bin/kupdate
test -x "$KUPDATE" || KUPDATE=kupdate
exec "$KUPDATE" check time "$@"
