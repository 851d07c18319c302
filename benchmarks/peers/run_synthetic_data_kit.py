"""synthetic-data-kit: its generator over one text of many chunks, then its curation.

Settings that make the calls comparable, in both modes: a chunk is one station, a check rates one pair. `--best` fills
the server: batches of 64 in both stages and no pause between them. It keeps no chunk with a pair: a pair is attached to
the chunk of its position.
"""

import json
import os
import tempfile
from pathlib import Path

import yaml
from items import options, passages, write
from synthetic_data_kit.core.curate import curate_qa_pairs
from synthetic_data_kit.generators.qa_generator import QAGenerator
from synthetic_data_kit.models.llm_client import LLMClient
from synthetic_data_kit.utils import config as defaults


def main() -> None:
    """Writes and checks a pair an item."""
    given = options()
    folder = Path(tempfile.mkdtemp())
    settings = yaml.safe_load(Path(defaults.PACKAGE_CONFIG_PATH).read_text())
    settings["api-endpoint"] |= {"api_base": given.url, "api_key": "none", "model": "scribe"}
    settings["generation"] |= {"chunk_size": 60, "overlap": 0}
    settings["curate"]["batch_size"] = 1
    if given.best:
        settings["generation"]["batch_size"] = settings["curate"]["inference_batch"] = 64
        settings["api-endpoint"]["sleep_time"] = 0.0
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    os.environ.pop("API_ENDPOINT_KEY", None)
    client = LLMClient(config_path=path)
    texts = passages(given.items)
    written = QAGenerator(client, path).process_document("\n\n".join(texts), num_pairs=given.items)
    (folder / "pairs.json").write_text(json.dumps(written))
    curate_qa_pairs(str(folder / "pairs.json"), str(folder / "kept.json"), config_path=path, provider="api-endpoint")
    kept = json.loads((folder / "kept.json").read_text())
    at = {(pair["question"], pair["answer"]): place for place, pair in enumerate(written["qa_pairs"])}
    turns = [[turn["content"] for turn in row["messages"] if turn["role"] != "system"] for row in conversations(kept)]
    write(given.out, ((question, answer, texts[at[question, answer]]) for question, answer in turns))


def conversations(kept: dict[str, object]) -> list[dict[str, list[dict[str, str]]]]:
    """The kept pairs as conversations, whatever they are called in the file."""
    rows = kept.get("conversations") or kept.get("qa_pairs") or kept.get("filtered_pairs")
    if not isinstance(rows, list):
        raise SystemExit(f"no pairs in {sorted(kept)}")
    return [
        row if "messages" in row else {"messages": [{"role": "user", "content": row["question"]},
                                                    {"role": "assistant", "content": row["answer"]}]}
        for row in (({"messages": row} if isinstance(row, list) else row) for row in rows)
    ]  # fmt: skip


if __name__ == "__main__":
    main()
