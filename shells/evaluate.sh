#!/usr/bin/env bash
# Accuracy and win rate of answers, judged. Set the variables here or in the environment; what stands behind the
# script's name is passed on: bash shells/evaluate.sh --data_path answers judge=api judge.base_url=… judge.model=…
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DATA_PATH=${DATA_PATH:-results} DATA_NAME_SFT=${DATA_NAME_SFT:-sft.json} DATA_NAME_BASE=${DATA_NAME_BASE:-base.json}
KUPDATE=$HERE/.venv/bin/kupdate
test -x "$KUPDATE" || KUPDATE=kupdate
exec "$KUPDATE" evaluate --data_path "$DATA_PATH" --data_name_sft "$DATA_NAME_SFT" --data_name_base "$DATA_NAME_BASE" \
    --max_attempts "${MAX_ATTEMPTS:-5}" --retry_delay "${RETRY_DELAY:-2}" \
    ${LOCAL_MODEL_PATH:+--local_model_path "$LOCAL_MODEL_PATH"} "$@"
