"""LLaMA-Factory: its supervised fine-tuning as it comes, on rows that are tokens already (its `tokenized_path`).

It checks for versions of its dependencies that PyTorch 2.13 is newer than, and is told not to. It imports torchaudio,
which text does not need and which has no build for that PyTorch: an empty module stands in for it.
"""

import os
import sys
import tempfile
from importlib.machinery import ModuleSpec
from types import ModuleType

from pacing import Pace, paced, trainer_arguments

os.environ |= {"DISABLE_VERSION_CHECK": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}


def main() -> None:
    """Trains."""
    pace = Pace()
    from datasets import Dataset, DatasetDict

    sys.modules["torchaudio"] = ModuleType("torchaudio")
    sys.modules["torchaudio"].__spec__ = ModuleSpec("torchaudio", None)
    from llamafactory.train.tuner import run_exp

    settings, folder = pace.settings, tempfile.mkdtemp()
    arguments = trainer_arguments(settings)
    # Its transformers is older than that name; it has one of its own.
    del arguments["train_sampling_strategy"]
    rows = [{**row, "attention_mask": [1] * len(row["input_ids"])} for row in pace.rows]
    DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(f"{folder}/tokens")
    run_exp(
        {
            "stage": "sft", "do_train": True, "finetuning_type": "lora", "model_name_or_path": settings["model"],
            "template": "default", "dataset": "tokens", "tokenized_path": f"{folder}/tokens",
            "output_dir": f"{folder}/out", "lora_rank": settings["rank"], "lora_alpha": settings["alpha"],
            "lora_dropout": 0.0, "lora_target": "all", "per_device_train_batch_size": pace.batch,
            "gradient_accumulation_steps": pace.micro_batches, "disable_shuffling": True,
            **arguments,
        },
        callbacks=[paced(pace, ("llamafactory", "transformers", "peft"))],
    )  # fmt: skip


if __name__ == "__main__":
    main()
