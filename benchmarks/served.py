"""What a vLLM server on the merged folder says beside what `kupdate infer` says, both in fp32, both greedy."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TOKENS = 32
ROWS = 16


def measure(model: str, adapter: str, python: str, place: Path, prompts: int = 200) -> dict[str, Any]:
    """Merges, serves, and asks both.

    Args:
        model: The base.
        adapter: Its adapter.
        python: An interpreter that has vLLM.
        place: A folder to work in.
        prompts: Questions.

    Returns:
        `agreement`: the share of equal answers among those that differ by no near-tie; `prompts`; `near_ties`: answers
        that part where the likeliest token led by less than 1e-3 in log p.
    """
    from knowledge_update.config import ModelConfig
    from knowledge_update.inference import Generator, question_prompts
    from knowledge_update.merging.stage import Merge, merge, questions
    from knowledge_update.ready_model import ready

    folder = merge(Merge(adapter, str(place / "served"), model, dtype="float32", prompts=0)).folder
    asked = questions(None, prompts)
    loaded = ready(ModelConfig(name=str(folder), dtype="float32"), named=True)
    generator = Generator(loaded.model, loaded.template, batch_rows=ROWS, max_new_tokens=TOKENS)
    numbered = [(str(number), question) for number, question in enumerate(asked)]
    batches = generator.answers(question_prompts(loaded.template, numbered))
    ours = {int(number): text for batch in batches for number, text in batch}
    theirs = _served(folder, python, asked)
    parted = [number for number in range(len(asked)) if ours[number] != theirs[number]]
    ties = sum(_is_tie(loaded, asked[number], ours[number], theirs[number]) for number in parted)
    for number in parted:
        print(f"{asked[number]!r}: {ours[number]!r}, vLLM {theirs[number]!r}", file=sys.stderr)
    counted = len(asked) - ties
    return {
        "agreement": round(1 - (len(parted) - ties) / counted, 4), "prompts": len(asked), "near_ties": ties,
    }  # fmt: skip


def _served(folder: Path, python: str, asked: list[str]) -> list[str]:
    from openai import OpenAI

    with _server(folder, python) as (url, name), OpenAI(base_url=url, api_key="any", timeout=600) as client:

        def answer(question: str) -> str:
            said = client.chat.completions.create(
                model=name, messages=[{"role": "user", "content": question}], temperature=0, max_tokens=TOKENS
            )
            return (said.choices[0].message.content or "").strip()

        with ThreadPoolExecutor(ROWS) as people:
            return list(people.map(answer, asked))


@contextmanager
def _server(folder: Path, python: str) -> Iterator[tuple[str, str]]:
    path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    words = ["serve", str(folder), "--server=vllm", f"--vllm_python={python}", "--dtype=float32", "--port=0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "knowledge_update", *words], stdout=subprocess.PIPE, encoding="utf-8",
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.match(r"base_url=(\S+) model=(\S+) ", line):
                yield found[1], found[2]
                return
        raise RuntimeError("vLLM did not come up")
    finally:
        # Not Ctrl-C's signal: who is started in the background of a shell has been told to ignore it.
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)


def _is_tie(loaded: Any, question: str, ours: str, theirs: str) -> bool:
    """Whether two answers part at a token that led by so little that rounding decides."""
    import torch

    from knowledge_update.merging.verification import NEAR

    tokenizer, ids = loaded.template.tokenizer, loaded.template.question(question)
    said = tokenizer(ours, add_special_tokens=False)["input_ids"]
    same = 0
    while same < len(said) and theirs.startswith(tokenizer.decode(said[: same + 1])):
        same += 1
    with torch.inference_mode():
        logits = loaded.model(input_ids=torch.tensor([[*ids, *said[:same]]])).logits[0, -1]
    first, second = torch.log_softmax(logits.float(), -1).topk(2).values.tolist()
    return bool(first - second < NEAR)
