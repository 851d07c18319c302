#!/usr/bin/env bash
# Documents to a dataset of questions and answers. Set the variables here or in the environment; what stands behind the
# script's name is passed on: bash shells/collect_data.sh --data_path my/documents writer=api writer.base_url=…
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DATA_PATH=${DATA_PATH:-$HERE/examples/orvessay}
CHUNK_SIZE_BY_TOKEN=${CHUNK_SIZE_BY_TOKEN:-256}
QA_AMOUNT_PER_FACT=${QA_AMOUNT_PER_FACT:-12}
ROLE_AMOUNT_PER_FACT=${ROLE_AMOUNT_PER_FACT:-3}
SAVE_DIR=${SAVE_DIR:-datasets/qa_pairs.jsonl}
KUPDATE=$HERE/.venv/bin/kupdate
test -x "$KUPDATE" || KUPDATE=kupdate
exec "$KUPDATE" collect --data_path "$DATA_PATH" --chunk_size_by_token "$CHUNK_SIZE_BY_TOKEN" \
    --qa_amount_per_fact "$QA_AMOUNT_PER_FACT" --role_amount_per_fact "$ROLE_AMOUNT_PER_FACT" --save_dir "$SAVE_DIR" "$@"
