"""What dropout leaves out follows from the place that is computed, whoever computes it and whenever."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from knowledge_update.training.dropout import SeededDropout, drawn_for, seeded

ONES = torch.ones(64, 100)


def dropped(layer: SeededDropout, *place: int) -> Tensor:
    with drawn_for(*place):
        out: Tensor = layer(ONES)
    return out


def test_the_share_is_left_out_and_the_rest_made_up_for() -> None:
    out = dropped(SeededDropout(0.25, seed=1), 0)
    assert float((out == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert float(out.mean()) == pytest.approx(1.0, abs=0.03)
    assert set(out.unique().tolist()) == {0.0, float(torch.tensor(1 / 0.75))}


def test_a_place_is_computed_alike_again_and_others_differently() -> None:
    layer = SeededDropout(0.5, seed=1)
    torch.manual_seed(0)
    first = dropped(layer, 3, 0, 1)
    torch.manual_seed(9)
    assert torch.equal(first, dropped(layer, 3, 0, 1))
    for other in (dropped(layer, 3, 0, 2), dropped(layer, 4, 0, 1), dropped(SeededDropout(0.5, seed=2), 3, 0, 1)):
        assert not torch.equal(first, other)


def test_threads_do_not_disturb_each_other() -> None:
    layer = SeededDropout(0.5, seed=1)
    alone = [dropped(layer, place) for place in range(40)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda place: dropped(layer, place), range(40)))
    assert all(map(torch.equal, alone, together))


def test_nothing_is_left_out_outside_training() -> None:
    layer = SeededDropout(0.5, seed=1).eval()
    assert layer(ONES) is ONES


def test_every_dropout_of_a_model_is_replaced_by_one_of_its_own_seed() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Linear(100, 100), nn.Dropout(0.5)), nn.Dropout(0.0))
    assert seeded(model, seed=7) == 2
    layers = [layer for layer in model.modules() if isinstance(layer, SeededDropout)]
    assert len({layer.seed for layer in layers}) == len(layers) == 2
