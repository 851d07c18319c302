"""TRL: its `SFTTrainer` on rows that are tokens already.

As it comes: passes of eight rows, activation checkpointing, the attention that transformers chooses. `--best`: no
checkpointing and plain attention, the fastest of what was tried (benchmarks/LOG.md).
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
    attention = {"attn_implementation": "eager"} if best else {}
    model = AutoModelForCausalLM.from_pretrained(
        settings["model"], dtype=getattr(torch, settings["dtype"]), **attention
    )
    arguments = SFTConfig(
        output_dir=tempfile.mkdtemp(), gradient_accumulation_steps=pace.micro_batches,
        per_device_train_batch_size=pace.batch, **trainer_arguments(settings),
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
