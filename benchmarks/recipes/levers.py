"""The levers: what of our training is changed in an arm, everything else being the default. One line each.

Beside the keys of the configuration there are three of the benchmark's: `data` is `raw` (the passages as text), `facts`
(sentences that stand alone, as text), `questions`, or `mix` (facts and questions, as collected); `wordings` is how many
questions a fact is asked at most. An arm trains as many steps as ours did, each of as many tokens, or `times` as many.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from knowledge_update.ledger import Ledger
from knowledge_update.run_folder import RunFolder, read_rows
from knowledge_update.writing.statements import ABOUT, CLOZE, COMPLETION, CONVERSE, DIRECT, SHORT, SYNONYM, TITLED

LEVERS: dict[str, list[str]] = {
    "targets_qv": ["adapter.targets=q_proj,v_proj"],
    "targets_attention": ["adapter.targets=q_proj,k_proj,v_proj,o_proj"],
    "targets_mlp": ["adapter.targets=gate_proj,up_proj,down_proj"],
    "upper_sixth": ["adapter.upper_share=0.17"],
    "upper_half": ["adapter.upper_share=0.5"],
    "all_layers": ["adapter.upper_share=1.0"],
    "all_layers_qv": ["adapter.upper_share=1.0", "adapter.targets=q_proj,v_proj"],
    "raw": ["data=raw"],
    "facts": ["data=facts"],
    "questions": ["data=questions"],
    "wordings_1": ["wordings=1"],
    "wordings_3": ["wordings=3"],
    "wordings_10": ["wordings=10"],
    "replay_0": ["training.replay_share=0"],
    "replay_10": ["training.replay_share=0.1"],
    "anchor_0": ["training.replay_pull=0"],
    "replay_0_rank_16": ["training.replay_share=0", "adapter.rank=16"],
    "distil_50": ["training.distil=0.5"],
    "second_pass": ["training.second_pass=0.35"],
    "second_pass_half": ["training.second_pass=0.5"],
    "limit_05": ["training.retention_limit=0.05"],
    "limit_10": ["training.retention_limit=0.1"],
    "unknown_0": ["training.unknown_share=0"],
    "unknown_10": ["training.unknown_share=0.1"],
    "long": ["times=2"],
    "long_rate_half": ["times=2", "optimizer.learning_rate=0.00075"],
    "long_second_pass_limit": ["times=2", "training.second_pass=0.35", "training.retention_limit=0.05"],
    "rank_16": ["adapter.rank=16"],
    "rank_128": ["adapter.rank=128"],
    "rate_half": ["optimizer.learning_rate=0.00075"],
    "rate_double": ["optimizer.learning_rate=0.003"],
}  # fmt: skip
OWN = ("data", "wordings", "times")
DATA = ("raw", "facts", "questions", "mix")
# Which wordings of a fact come first where only some are trained.
_ORDER = (DIRECT, CONVERSE, SYNONYM, SHORT, COMPLETION, CLOZE, TITLED, ABOUT)
# More passes than so many steps take, however few the rows: the steps end the training.
_PASSES = 200
Row = dict[str, Any]


def parted(lever: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """A lever's keys of the benchmark's, and its overrides of the configuration.

    Raises:
        ValueError: When one of those keys has a value that there is not.
    """
    own = {key: value for key, _, value in (word.partition("=") for word in lever) if key in OWN}
    counts = [own.get(key, "1") for key in ("wordings", "times")]
    if own.get("data", "mix") not in DATA or not all(count.isdigit() for count in counts):
        raise ValueError(f"{' '.join(lever)}: data is one of {', '.join(DATA)}, wordings and times are numbers")
    return own, [word for word in lever if word.partition("=")[0] not in own]


def as_long(overrides: Sequence[str], steps: int) -> list[str]:
    """The overrides of an arm that trains so many steps."""
    return [*overrides, f"training.epochs={_PASSES}", f"training.max_steps={steps}"]


def rows(own: dict[str, str], folder: RunFolder) -> list[Row] | None:
    """What a lever trains of a collected folder, or nothing where that is all that was collected."""
    if not own.keys() & {"data", "wordings"}:
        return None
    data, found = own.get("data", "mix"), read_rows(folder.dataset("train"))
    if data == "raw":
        return _passages(folder)
    texts = [row for row in found if "text" in row and data != "questions"]
    questions = [row for row in found if "text" not in row and data != "facts"]
    return [*_first(questions, int(own["wordings"])), *texts] if "wordings" in own else [*questions, *texts]


def _passages(folder: RunFolder) -> list[Row]:
    with Ledger(folder.ledger) as ledger:
        languages = {document.id: document.language for document in ledger.documents()}
        return [
            {"id": chunk.id, "fact": None, "wording": "raw", "language": languages[chunk.document], "text": chunk.text}
            for chunk in ledger.chunks()
        ]


def _first(questions: Iterable[Row], count: int) -> list[Row]:
    """So many questions of every fact, the plainest wordings first."""
    of_fact: dict[str, list[Row]] = defaultdict(list)
    for row in questions:
        of_fact[row["fact"]].append(row)

    def order(row: Row) -> tuple[int, str]:
        return _ORDER.index(row["wording"]) if row["wording"] in _ORDER else len(_ORDER), row["id"]

    return [row for group in of_fact.values() for row in sorted(group, key=order)[:count]]
