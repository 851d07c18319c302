r"""What asking a run's exam costs beside a bare loop over `generate` with the same prompts.

    python benchmarks/asking.py RUN [--questions N] [--json FILE]

RUN is a run folder with its adapter. Ours is the whole stage `kupdate infer`: loading, prompts, journals, answers of
base, updated and base with the passage. The bare loop has the same prompts ready, sorted by length, and the models
loaded, in the same precision: transformers' `generate` as it comes, greedy, padded, in batches of the size that was
fastest on a sample; its answers have no more room than the configuration gives them, ours where a right one is longer.
`ratio` is ours to the bare one's; `same` the share of equal answers (a padded batch rounds otherwise).
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).resolve().parent
# From the repository, so that this code is measured and not another that is installed.
sys.path.insert(0, str(HERE.parent))

from knowledge_update.adapters import load_adapter  # noqa: E402
from knowledge_update.config import Config  # noqa: E402
from knowledge_update.display import to_terminal  # noqa: E402
from knowledge_update.evaluation import answers  # noqa: E402
from knowledge_update.evaluation.exam import exam  # noqa: E402
from knowledge_update.evaluation.passages import Passages  # noqa: E402
from knowledge_update.inference import Prompt, question_prompts  # noqa: E402
from knowledge_update.models import load_tokenizer, precision, resolve  # noqa: E402
from knowledge_update.run_config import stored  # noqa: E402
from knowledge_update.run_folder import RunFolder, read_rows, write_rows  # noqa: E402
from knowledge_update.templates import ChatTemplate  # noqa: E402

SIZES, SAMPLE = (8, 16, 32, 64), 64
Row = dict[str, Any]


def limited(folder: RunFolder, count: int | None) -> Config:
    """The run's configuration, its exam only probes, people's questions and general ones, so many in all."""
    config = stored(folder)
    for path in (folder.path / "answers").glob("*"):
        path.unlink()
    alone = replace(config.evaluation, trained=0, unanswerable=0, retrieval=0, updates=0, retention=False)
    if count is not None:
        probes = read_rows(folder.dataset("probes"))[:count]
        people = read_rows(folder.dataset("questions"))[: max(0, count - len(probes))]
        write_rows(folder.dataset("probes"), probes)
        write_rows(folder.dataset("questions"), people)
    return replace(config, evaluation=alone)


def bare(model: Any, template: ChatTemplate, prompts: Sequence[Prompt], size: int, longest: int) -> dict[str, str]:
    """The answers of a plain loop."""
    import torch

    said: dict[str, str] = {}
    ordered = sorted(prompts, key=lambda prompt: len(prompt.ids))
    tokenizer = template.tokenizer
    for start in range(0, len(ordered), size):
        batch = ordered[start : start + size]
        padded = tokenizer.pad({"input_ids": [list(prompt.ids) for prompt in batch]}, return_tensors="pt")
        with torch.inference_mode():
            out = model.generate(
                **padded, do_sample=False, max_new_tokens=longest, pad_token_id=tokenizer.pad_token_id,
                eos_token_id=sorted(template.end_ids),
            )  # fmt: skip
        new = out[:, padded["input_ids"].shape[1] :]
        texts = tokenizer.batch_decode(new, skip_special_tokens=True)
        said |= {prompt.id: text.strip() for prompt, text in zip(batch, texts, strict=True)}
    return said


def fastest(model: Any, template: ChatTemplate, prompts: Sequence[Prompt], longest: int) -> tuple[int, Row]:
    """The batch size that answers a sample first, and the seconds of all."""
    sample, seconds = prompts[:: max(1, len(prompts) // SAMPLE)][:SAMPLE], dict[int, float]()
    bare(model, template, sample[:8], 8, 2)
    for size in SIZES:
        began = time.perf_counter()
        bare(model, template, sample, size, longest)
        seconds[size] = round(time.perf_counter() - began, 2)
    return min(seconds, key=seconds.__getitem__), {str(size): spent for size, spent in seconds.items()}


def measure(run: Path, count: int | None) -> Row:
    """Both ways, ours first."""
    from transformers import AutoModelForCausalLM

    with TemporaryDirectory() as place:
        folder = RunFolder(Path(place) / "run")
        shutil.copytree(run, folder.path)
        config = limited(folder, count)
        began = time.perf_counter()
        answers.run(config, folder)
        ours = time.perf_counter() - began
        base = resolve(config.model.name)
        template = ChatTemplate(load_tokenizer(base))
        template.tokenizer.padding_side = "left"
        asked, passages = exam(config, folder), Passages(folder, template)
        closed = question_prompts(template, [(row["id"], row["question"]) for row in asked.closed])
        opened = [passages.open_book(row) for row in asked.questions]
        longest = config.inference.max_new_tokens
        # In the precision that ours was asked in: fp32 would be twice as slow where there are units for bf16.
        dtype = precision(config.model.dtype, config.model.device).dtype
        model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
        told: Row = {"questions": len(closed), "dtype": str(dtype), "ours": round(ours, 1), "sizes": {}, "bare": 0.0}
        said: dict[str, dict[str, str]] = {}
        for name, prompts in (("base", closed), ("open_book", opened), ("updated", closed)):
            if name == "updated":
                model = load_adapter(model, folder.adapter).merge_and_unload()
            size, told["sizes"][name] = fastest(model, template, prompts, longest)
            began = time.perf_counter()
            said[name] = bare(model, template, prompts, size, longest)
            told["bare"] += time.perf_counter() - began
        same = [said[name][row["id"]] == row["response"] for name in said for row in read_rows(folder.answers(name))]
    bare_seconds = told["bare"]
    return {**told, "bare": round(bare_seconds, 1), "ratio": round(ours / bare_seconds, 3),
            "same": round(sum(same) / len(same), 4)}  # fmt: skip


def main() -> None:
    """Measures, prints, and writes where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder with its adapter")
    parser.add_argument("--questions", type=int, help="only so many")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    to_terminal()
    text = json.dumps(measure(given.run, given.questions), indent=2)
    print(text)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
