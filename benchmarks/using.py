"""What use costs and whether it is exact: merging, the chat, the page under load, vLLM; each measured here and now.

    python benchmarks/using.py [--quick] [--json FILE]

`merge.memory_ratio` is the peak of a whole merging process, Python and its libraries included, to the size of the
base's weights; the other figures of `merge` are the verification's, in fp32 before the cast. `chat.first_token_ratio`
and `chat.rate_ratio` are ours to those of `generate` on the same model with the same ids: medians of rounds by turns.
`web` is what a crowd of visitors saw (`crowd.py`); `vllm.agreement` the share of 200 greedy answers of a vLLM server
on the merged folder that are those of `infer` in fp32 (`served.py`), null where KUPDATE_VLLM_PYTHON names no
interpreter that has vLLM, and with --quick.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import crowd
import served

MODEL = "smollm2-135m"
QUESTION = "Tell me what a lighthouse is, and how it is kept."


def main() -> None:
    """Measures, prints, and writes where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and tokens; as many prompts")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--model", default=MODEL, help="the base")
    parser.add_argument("--adapter", help="an adapter of it; a random one where none is named")
    given, vllm = parser.parse_args(), os.environ.get("KUPDATE_VLLM_PYTHON")
    with TemporaryDirectory() as place:
        adapter = given.adapter or str(_random_adapter(given.model, Path(place) / "adapter"))
        figures: dict[str, Any] = {}
        for name, measure in {
            "merge": lambda: _merge(given.model, adapter, Path(place)),
            "chat": lambda: _chat(given.model, rounds=5 if given.quick else 15, tokens=48 if given.quick else 128),
            "web": lambda: crowd.measure(
                [given.model, f"--lora_weights={adapter}"], users=8 if given.quick else 32,
                seconds=60 if given.quick else 300,
            ),
            "vllm": lambda: (
                served.measure(given.model, adapter, vllm, Path(place)) if vllm and not given.quick else None
            ),
        }.items():  # fmt: skip
            figures[name] = measure()
            text = json.dumps(figures, indent=2)
            if given.json:
                given.json.write_text(text + "\n", encoding="utf-8")
    print(text)


def _random_adapter(model: str, folder: Path) -> Path:
    """An adapter on every linear map that changes what is said and leaves it language."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from knowledge_update.models import resolve

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(resolve(model), dtype=torch.float32)
    settings = LoraConfig(
        r=16, lora_alpha=2, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False
    )
    get_peft_model(base, settings).save_pretrained(str(folder))
    return folder


_MERGING = """
import sys
from knowledge_update.merging.stage import Merge, merge
merge(Merge(sys.argv[1], sys.argv[2], sys.argv[3], prompts=0))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def _merge(model: str, adapter: str, place: Path) -> dict[str, Any]:
    """Merges twice: alone in a process for its memory, and verified for its figures."""
    from knowledge_update.merging.stage import Merge, merge
    from knowledge_update.models import resolve

    words = [sys.executable, "-c", _MERGING, adapter, str(place / "alone"), model]
    path = f"{Path(__file__).parents[1]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        words, check=True, capture_output=True, encoding="utf-8", env={**os.environ, "PYTHONPATH": path}
    )
    size = sum(file.stat().st_size for file in Path(resolve(model)).glob("*.safetensors"))
    compared = merge(Merge(adapter, str(place / "verified"), model, prompts=200)).verified["merged"]
    return {
        "prompts": compared.prompts, "agreement": compared.agreement,
        "max_logprob_difference": compared.max_logprob_difference,
        "memory_ratio": round(int(done.stdout.split()[-1]) * 1024 / size, 3),
    }  # fmt: skip


@dataclass(frozen=True)
class _Timed:
    """Seconds to the first token, and tokens a second after it."""

    first: float
    rate: float


def _chat(model: str, rounds: int, tokens: int) -> dict[str, float]:
    from knowledge_update.chat.session import Sampling, Session
    from knowledge_update.config import ModelConfig
    from knowledge_update.ready_model import ready

    loaded = ready(ModelConfig(name=model), named=True)
    # Answers of one length: none ends before.
    loaded.template.end_ids = frozenset()
    session = Session(loaded, Sampling(max_new_tokens=tokens))
    ids = loaded.template.question(QUESTION)
    ways: dict[str, Callable[[], _Timed]] = {
        "ours": lambda: _timed(tokens, lambda seen: [seen() for _ in session._tokens(ids)]),
        "generate": lambda: _timed(tokens, lambda seen: _generate(loaded.model, ids, tokens, seen)),
    }
    heard: dict[str, list[_Timed]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            timed = way()
            # The first round warms up.
            if number:
                heard[name].append(timed)
    first = {name: median(timed.first for timed in found) for name, found in heard.items()}
    rate = {name: median(timed.rate for timed in found) for name, found in heard.items()}
    return {
        "first_token_ratio": round(first["ours"] / first["generate"], 3),
        "rate_ratio": round(rate["ours"] / rate["generate"], 3),
    }


def _timed(tokens: int, answer: Callable[[Callable[[], None]], object]) -> _Timed:
    times: list[float] = []
    began = time.perf_counter()
    answer(lambda: times.append(time.perf_counter()))
    assert len(times) == tokens
    return _Timed(times[0] - began, (tokens - 1) / (times[-1] - times[0]))


def _generate(model: Any, ids: list[int], tokens: int, seen: Callable[[], None]) -> None:
    import torch
    from transformers.generation.streamers import BaseStreamer

    class Listener(BaseStreamer):  # type: ignore[misc]
        prompt = True

        def put(self, value: Any) -> None:
            if not self.prompt:
                seen()
            self.prompt = False

        def end(self) -> None:
            pass

    asked = torch.tensor([ids])
    model.generate(
        input_ids=asked, attention_mask=torch.ones_like(asked), max_new_tokens=tokens, do_sample=False,
        eos_token_id=-1, pad_token_id=0, streamer=Listener(),
    )  # fmt: skip


if __name__ == "__main__":
    main()
