"""TRL: its `SFTTrainer` on rows that are tokens already.

As it comes: passes of eight rows, activation checkpointing, the attention that transformers chooses. `--best ATTENTION
ROWS`: no checkpointing, that attention, passes of so many rows; the fastest of what was tried (benchmarks/LOG.md).
`--defaults [RATE]`: rate, schedule, batch, optimizer and adapter are its own too, not those of the other arms.
"""

import sys
import tempfile

from pacing import Pace, paced, trainer_arguments


def main() -> None:
    """Trains."""
    pace = Pace()
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import SFTTrainer

    settings, best = pace.settings, "--best" in sys.argv
    attention = {"attn_implementation": sys.argv[3]} if best else {}
    rows = int(sys.argv[4]) if best else pace.batch
    model = AutoModelForCausalLM.from_pretrained(
        settings["model"], dtype=getattr(torch, settings["dtype"]), **attention
    )
    arguments, lora = _defaults(pace) if "--defaults" in sys.argv else _common(settings, rows, best)
    trainer = SFTTrainer(
        model=model, args=arguments, train_dataset=Dataset.from_list(pace.rows), peft_config=lora,
        callbacks=[paced(pace, ("trl", "transformers", "peft"))],
    )  # fmt: skip
    trainer.train()


def _common(settings, rows, best):
    """What all arms train by."""
    from peft import LoraConfig
    from trl import SFTConfig

    arguments = SFTConfig(
        output_dir=tempfile.mkdtemp(), gradient_accumulation_steps=max(1, settings["rows_per_step"] // rows),
        per_device_train_batch_size=rows, **trainer_arguments(settings),
        **({"gradient_checkpointing": False} if best else {}),
    )  # fmt: skip
    lora = LoraConfig(
        r=settings["rank"], lora_alpha=settings["alpha"], lora_dropout=0.0, target_modules="all-linear",
        task_type="CAUSAL_LM",
    )  # fmt: skip
    return arguments, lora


def _defaults(pace):
    """What TRL trains by where nobody says; in what this processor computes fastest."""
    from trl import ModelConfig, SFTConfig, get_peft_config

    own = ("logging_steps", "save_strategy", "report_to", "seed", "disable_tqdm", "bf16", "use_cpu")
    said = sys.argv[sys.argv.index("--defaults") + 1 :]
    arguments = SFTConfig(
        output_dir=tempfile.mkdtemp(), num_train_epochs=pace.task["passes"],
        **{name: value for name, value in trainer_arguments(pace.settings).items() if name in own},
        **({"learning_rate": float(said[0])} if said else {}),
    )  # fmt: skip
    return arguments, get_peft_config(ModelConfig(use_peft=True))


if __name__ == "__main__":
    main()
