"""bespokelabs-curator: two blocks one after the other, a pair written of each passage, then checked.

`--best` tells it that no rate is limited and that 64 requests may be under way.
"""

import importlib.util
import json
import os
import tempfile
from pathlib import Path

# Its counter of tokens would fetch a vocabulary that a package it needs has on board.
LITELLM = Path(importlib.util.find_spec("litellm").origin).parent
os.environ |= {
    "CURATOR_CACHE_DIR": tempfile.mkdtemp(), "TELEMETRY_ENABLED": "false", "CURATOR_DISABLE_RICH_DISPLAY": "1",
    "OPENAI_API_KEY": "none", "HF_HUB_OFFLINE": "1",
    "TIKTOKEN_CACHE_DIR": str(LITELLM / "litellm_core_utils/tokenizers"),
}  # fmt: skip

from bespokelabs import curator  # noqa: E402
from datasets import Dataset  # noqa: E402
from items import CHECK, WRITE, options, passages, write  # noqa: E402


class Writer(curator.LLM):
    """Writes a pair of a passage."""

    def prompt(self, row):
        return WRITE + row["passage"]

    def parse(self, row, response):
        return [{"passage": row["passage"], **pair} for pair in json.loads(response)]


class Checker(curator.LLM):
    """Checks a pair."""

    def prompt(self, row):
        return CHECK + json.dumps({"question": row["question"], "answer": row["answer"]})

    def parse(self, row, response):
        return [{**row, "rating": rated["rating"]} for rated in json.loads(response)]


def main() -> None:
    """Writes and checks a pair an item."""
    given = options()
    params = {"base_url": given.url, "api_key": "none"}
    if given.best:
        params |= {"max_concurrent_requests": 64, "max_requests_per_minute": 100_000, "max_tokens_per_minute": 10**9}
    common = {"model_name": "scribe", "backend": "openai", "backend_params": params}
    rows = Dataset.from_list([{"passage": text} for text in passages(given.items)])
    written = dataset(Writer(**common)(rows))
    checked = dataset(Checker(**common)(written))
    write(given.out, ((row["question"], row["answer"], row["passage"]) for row in checked if row["rating"] >= 7))


def dataset(response):
    """The rows of an answer, in whatever the version at hand returns."""
    return getattr(response, "dataset", response)


if __name__ == "__main__":
    main()
