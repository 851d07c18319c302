#!/usr/bin/env bash
# Answers of a model to a file of questions. Set the variables here or in the environment; what stands behind the
# script's name is passed on: bash shells/inference.sh --lora_weights output/checkpoint-final --output_path sft.json
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
MODEL_NAME_OR_PATH=${MODEL_NAME_OR_PATH:-smollm2-135m}
TEST_DATA_PATH=${TEST_DATA_PATH:-datasets/qa_pairs.jsonl}
LORA_WEIGHTS=${LORA_WEIGHTS:-}
OUTPUT_PATH=${OUTPUT_PATH:-responses/$([[ -n $LORA_WEIGHTS ]] && echo sft || echo base).json}
KUPDATE=$HERE/.venv/bin/kupdate
test -x "$KUPDATE" || KUPDATE=kupdate
exec "$KUPDATE" infer --model_name_or_path "$MODEL_NAME_OR_PATH" --test_data_path "$TEST_DATA_PATH" \
    --output_path "$OUTPUT_PATH" ${LORA_WEIGHTS:+--lora_weights "$LORA_WEIGHTS"} "$@"
