"""The described recipe: transformers' `Trainer` with PEFT, every row padded to 512 tokens.

`--short`: to the longest of those beside it, which makes the same gradients sooner.
"""

import sys
import tempfile

from pacing import Pace, paced, trainer_arguments

LENGTH = 512


def main() -> None:
    """Trains."""
    pace = Pace()
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

    settings = pace.settings
    model = AutoModelForCausalLM.from_pretrained(settings["model"], dtype=getattr(torch, settings["dtype"]))
    pad = model.config.pad_token_id or 0

    def padded(rows):
        tensors = {"input_ids": pad, "labels": -100}
        length = max(len(row["input_ids"]) for row in rows) if "--short" in sys.argv else LENGTH
        found = {
            name: torch.tensor([row[name][:length] + [fill] * (length - len(row[name])) for row in rows])
            for name, fill in tensors.items()
        }
        lengths = torch.tensor([[min(length, len(row["input_ids"]))] for row in rows])
        return {**found, "attention_mask": (torch.arange(length)[None] < lengths).long()}

    lora = LoraConfig(
        r=settings["rank"], lora_alpha=settings["alpha"], lora_dropout=0.0, target_modules=settings["targets"],
        task_type="CAUSAL_LM",
    )  # fmt: skip
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(), gradient_accumulation_steps=pace.micro_batches,
        per_device_train_batch_size=pace.batch, **trainer_arguments(settings),
    )  # fmt: skip
    trainer = Trainer(
        model=get_peft_model(model, lora), args=arguments, train_dataset=pace.rows,
        data_collator=padded, callbacks=[paced(pace, ("transformers", "peft"))],
    )  # fmt: skip
    trainer.train()


if __name__ == "__main__":
    main()
