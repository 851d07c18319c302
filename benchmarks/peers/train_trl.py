"""TRL: its `SFTTrainer` on rows that are tokens already.

As it comes: passes of eight rows, activation checkpointing, the attention that transformers chooses. `--best ATTENTION
ROWS`: no checkpointing, that attention, passes of so many rows; the fastest of what was tried (benchmarks/LOG.md).
"""

import sys
import tempfile

from pacing import Pace, paced, trainer_arguments


def main() -> None:
    """Trains."""
    pace = Pace()
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    settings, best = pace.settings, "--best" in sys.argv
    attention = {"attn_implementation": sys.argv[3]} if best else {}
    rows = int(sys.argv[4]) if best else pace.batch
    model = AutoModelForCausalLM.from_pretrained(
        settings["model"], dtype=getattr(torch, settings["dtype"]), **attention
    )
    arguments = SFTConfig(
        output_dir=tempfile.mkdtemp(), gradient_accumulation_steps=max(1, settings["rows_per_step"] // rows),
        per_device_train_batch_size=rows, **trainer_arguments(settings),
        **({"gradient_checkpointing": False} if best else {}),
    )  # fmt: skip
    lora = LoraConfig(
        r=settings["rank"], lora_alpha=settings["alpha"], lora_dropout=0.0, target_modules="all-linear",
        task_type="CAUSAL_LM",
    )  # fmt: skip
    trainer = SFTTrainer(
        model=model, args=arguments, train_dataset=Dataset.from_list(pace.rows), peft_config=lora,
        callbacks=[paced(pace, ("trl", "transformers", "peft"))],
    )  # fmt: skip
    trainer.train()


if __name__ == "__main__":
    main()
