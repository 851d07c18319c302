"""The plainest loop there is: transformers' model, PEFT's layers, padded batches, PyTorch's loss and optimizer."""

from pacing import Pace


def main() -> None:
    """Trains."""
    pace = Pace()
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    settings = pace.settings
    model = AutoModelForCausalLM.from_pretrained(
        settings["model"], dtype=getattr(torch, settings["dtype"]), attn_implementation="eager"
    )
    torch.manual_seed(settings["seed"])
    lora = LoraConfig(
        r=settings["rank"], lora_alpha=settings["alpha"], lora_dropout=0.0, target_modules="all-linear",
        task_type="CAUSAL_LM",
    )  # fmt: skip
    model = get_peft_model(model, lora)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=settings["learning_rate"], betas=tuple(settings["betas"]), eps=settings["eps"],
        weight_decay=settings["weight_decay"],
    )  # fmt: skip
    model.train()
    pace.start(model, pace.rows, ("transformers", "peft"))
    each, at = settings["rows_per_step"], 0
    while True:
        rows = [pace.rows[(at + offset) % len(pace.rows)] for offset in range(each)]
        at += each
        longest = max(len(row["input_ids"]) for row in rows)

        def filled(name, value, rows=rows, longest=longest):
            return torch.tensor([row[name] + [value] * (longest - len(row[name])) for row in rows])

        ids, labels = filled("input_ids", 0), filled("labels", -100)
        mask = torch.tensor([[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows])
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]).float(), labels[:, 1:].reshape(-1)
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, settings["max_grad_norm"])
        optimizer.step()
        optimizer.zero_grad()
        pace.step(loss.item())


if __name__ == "__main__":
    main()
