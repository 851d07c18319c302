"""What the other projects are given: one station a passage, a pair to be written of it, and the pair to be checked."""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from collecting.corpus import fact

WRITE = 'Write 1 question about this passage with its answer, as [{"question": "...", "answer": "..."}].\n\nPassage: '
CHECK = 'Rate the answer from 1 to 10, as {"question": "...", "answer": "...", "rating": 8}.\n\nPair: '


def passages(count: int) -> list[str]:
    """The passages."""
    return [fact(number).sentence for number in range(count)]


def options() -> argparse.Namespace:
    """The server's address, how many items, where the pairs go, and whether with the best settings."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("items", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--best", action="store_true")
    return parser.parse_args()


def write(out: Path, pairs: Iterable[tuple[str, str, str]]) -> None:
    """Writes question, answer and the passage they are attached to, a line each."""
    out.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
