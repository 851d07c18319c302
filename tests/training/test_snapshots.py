"""What is trained is kept as it was at some steps, the last and the best of them."""

from pathlib import Path

import pytest

from knowledge_update.errors import WorkError
from knowledge_update.training.snapshots import Snapshots


def written(path: Path) -> None:
    (path / "adapter").write_text(str(len(list(path.parent.iterdir()))), encoding="utf-8")


def test_the_last_are_kept_and_the_best(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, 2, written)
    for step, loss in ((5, 3.0), (10, 1.0), (15, 2.0), (100, 1.5)):
        snapshots.take(step)
        snapshots.validated(step, loss)
    assert snapshots.steps() == [15, 100]
    assert Snapshots(tmp_path, 2, written).lowest == 1.0
    assert (snapshots.best / "adapter").exists()
    (tmp_path / "checkpoint-final").mkdir()
    snapshots.forget()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-final"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    Snapshots(tmp_path, None, written).take(5)

    def full(path: Path) -> None:
        (path / "adapter").write_text("half", encoding="utf-8")
        raise OSError(28, "No space left on device")

    with pytest.raises(WorkError, match="No space left on device"):
        Snapshots(tmp_path, 1, full).take(10)
    assert Snapshots(tmp_path, None, written).steps() == [5]
    assert (tmp_path / "checkpoint-5" / "adapter").exists()
