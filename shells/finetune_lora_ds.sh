#!/usr/bin/env bash
# LoRA on rows of your own, on all GPUs of this machine, with DeepSpeed where a configuration is named:
#   bash shells/finetune_lora_ds.sh -m MODEL -d DATA --deepspeed zero2 --wandb_key KEY --num_train_epochs 3 …
# Set the variables here or in the environment; options that are not named above are those of `kupdate train`.
# On several machines the same on each, with NNODES, NODE_RANK (0, 1, …), MASTER_ADDR and MASTER_PORT.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
MODEL=${MODEL:-smollm2-135m} DATA=${DATA:-datasets} DS_CONFIG_PATH=${DS_CONFIG_PATH:-} REST=()
while (($#)); do
    case $1 in
        -m | --model) MODEL=$2; shift 2 ;;
        -d | --data) DATA=$2; shift 2 ;;
        --deepspeed) DS_CONFIG_PATH=$2; shift 2 ;;
        # Whoever lists the processes of a machine sees their options, not their environment.
        --wandb_key) export WANDB_KEY=$2; shift 2 ;;
        *) REST+=("$1"); shift ;;
    esac
done
KUPDATE=$HERE/.venv/bin/kupdate
test -x "$KUPDATE" || KUPDATE=kupdate
# As many processes as GPUs, at least one; where CUDA_VISIBLE_DEVICES leaves fewer, say how many.
((${GPUS_PER_NODE:=$(nvidia-smi --list-gpus 2>/dev/null | wc -l)})) || GPUS_PER_NODE=1
export GPUS_PER_NODE
exec "$KUPDATE" train --model_name_or_path "$MODEL" --data_path "$DATA" --use_lora True \
    ${DS_CONFIG_PATH:+--deepspeed "$DS_CONFIG_PATH"} ${REST[@]+"${REST[@]}"}
