"""Every optimizer against its formula, and that its state survives a file bit for bit."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from knowledge_update.errors import ConfigError
from knowledge_update.training import optimizers
from knowledge_update.training.optimizer_state import flat, restore
from knowledge_update.training.optimizers import optimizer_for
from knowledge_update.training_config import OptimizerConfig

SHAPES = ((3, 5), (7,), (90, 80), (4, 4))


def tensors(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Of different sizes, one all zeros as LoRA's B is at first."""
    made = torch.Generator().manual_seed(1)
    drawn = [torch.randn(shape, generator=made) * 0.3 for shape in SHAPES]
    drawn[3].zero_()
    return [torch.nn.Parameter(tensor.to(dtype)) for tensor in drawn]


def gradients(step: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    made = torch.Generator().manual_seed(100 + step)
    return [(torch.randn(shape, generator=made) * (0.1 + size)).to(dtype) for size, shape in enumerate(SHAPES)]


def moved(config: OptimizerConfig, steps: int = 6, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    parameters = tensors(dtype)
    walk(optimizer_for(config, parameters), parameters, range(steps))
    return [parameter.detach() for parameter in parameters]


def walk(optimizer: Any, parameters: list[Tensor], steps: range) -> None:
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * (step + 1)
        for parameter, gradient in zip(parameters, gradients(step, parameters[0].dtype), strict=True):
            parameter.grad = gradient
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def by_formula(config: OptimizerConfig, steps: int = 6) -> list[Tensor]:
    """The formulas number by number in double precision, with nothing of PyTorch's optimizers."""
    (beta1, beta2), eps, decay = config.betas, config.eps, config.weight_decay
    xs = [tensor.detach().double().flatten().tolist() for tensor in tensors()]
    ms, vs = [[0.0] * len(x) for x in xs], [[0.0] * len(x) for x in xs]
    for step in range(steps):
        rate, gs = 0.01 * (step + 1), [g.double().flatten().tolist() for g in gradients(step)]
        if config.name == "nvlamb":
            norm = math.sqrt(sum(g * g for tensor in gs for g in tensor))
            gs = [[g / norm for g in tensor] for tensor in gs]
        for x, m, v, g in zip(xs, ms, vs, gs, strict=True):
            update = []
            for i in range(len(x)):
                m[i] = beta1 * m[i] + (1 - beta1) * g[i]
                v[i] = beta2 * v[i] + (1 - beta2) * g[i] ** 2
                corrected = m[i] / (1 - beta1 ** (step + 1)), v[i] / (1 - beta2 ** (step + 1))
                update.append(corrected[0] / (math.sqrt(corrected[1]) + eps) + decay * x[i])
            ratio = 1.0
            if config.name in ("lamb", "nvlamb"):
                size = max(config.phi_min, math.sqrt(sum(value**2 for value in x)))
                size = size if config.phi_max is None else min(size, config.phi_max)
                length = math.sqrt(sum(value**2 for value in update))
                ratio = size / length if size and length else 1.0
            for i in range(len(x)):
                x[i] -= rate * ratio * update[i]
    return [torch.tensor(x).reshape(shape) for x, shape in zip(xs, SHAPES, strict=True)]


SETTINGS = (
    {"betas": (0.9, 0.99), "eps": 1e-6},
    {"betas": (0.8, 0.999), "eps": 1e-3, "weight_decay": 0.1},
    {"betas": (0.0, 0.9), "eps": 1e-8, "weight_decay": 0.5},
)


@pytest.mark.parametrize("name", ["adamw", "lamb", "nvlamb"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_steps_are_those_of_the_formula(name: str, settings: dict[str, Any]) -> None:
    config = OptimizerConfig(name=name, **settings)
    for found, expected in zip(moved(config), by_formula(config), strict=True):
        torch.testing.assert_close(found, expected.float(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("bounds", [{"phi_min": 2.0}, {"phi_max": 0.5}, {"phi_min": 0.1, "phi_max": 0.2}], ids=str)
def test_the_bounds_of_phi_hold(bounds: dict[str, float]) -> None:
    config = OptimizerConfig(name="lamb", weight_decay=0.1, **bounds)
    assert any(not torch.allclose(a, b) for a, b in zip(moved(config), moved(OptimizerConfig("lamb")), strict=True))
    for found, expected in zip(moved(config), by_formula(config), strict=True):
        torch.testing.assert_close(found, expected.float(), rtol=2e-5, atol=2e-6)


def test_nvlamb_does_not_see_the_size_of_gradients_and_lamb_does() -> None:
    def scaled(name: str, scale: float) -> list[Tensor]:
        parameters = tensors()
        optimizer = optimizer_for(OptimizerConfig(name=name, eps=1e-2), parameters)
        for step in range(4):
            for parameter, gradient in zip(parameters, gradients(step), strict=True):
                parameter.grad = gradient * scale ** (step + 1)
            optimizer.step()
        return [parameter.detach() for parameter in parameters]

    for one, other in zip(scaled("nvlamb", 1.0), scaled("nvlamb", 3.0), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    pairs = zip(scaled("lamb", 1.0), scaled("lamb", 3.0), strict=True)
    assert not all(torch.allclose(one, other, rtol=1e-3) for one, other in pairs)


def test_a_gradient_of_zeros_or_none_moves_nothing() -> None:
    for name in ("lamb", "nvlamb"):
        parameters = tensors()
        before = [parameter.detach().clone() for parameter in parameters]
        optimizer = optimizer_for(OptimizerConfig(name=name), parameters)
        parameters[0].grad = torch.zeros(SHAPES[0])
        optimizer.step()
        assert all(torch.equal(one, other) for one, other in zip(before, parameters, strict=True))


def test_sgd_is_the_sum_of_what_came_before() -> None:
    parameter = torch.nn.Parameter(torch.zeros(3))
    config = OptimizerConfig(name="sgd", momentum=0.5, weight_decay=0.1, learning_rate=0.2)
    optimizer = optimizer_for(config, [parameter])
    x, velocity = 0.0, 0.0
    for gradient in (1.0, -2.0, 3.0):
        parameter.grad = torch.full((3,), gradient)
        optimizer.step()
        velocity = 0.5 * velocity + gradient + 0.1 * x
        x -= 0.2 * velocity
        torch.testing.assert_close(parameter.detach(), torch.full((3,), x))


@pytest.mark.parametrize("name", ["adamw", "lamb", "nvlamb"])
def test_moments_of_8_bits_take_a_quarter_and_stay_close(name: str) -> None:
    settings = {"betas": (0.9, 0.99), "eps": 1e-3, "weight_decay": 0.01}
    whole, small = OptimizerConfig(name, **settings), OptimizerConfig(name, **settings, bits=8)
    begin = tensors()
    for start, found, expected in zip(begin, moved(small, 20), moved(whole, 20), strict=True):
        away = torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected - start.detach())
        # Only the large tensor has moments of 8 bits: the others are as they were.
        assert (1e-5 < away < 0.03) if found.numel() >= 4096 else away < 1e-5

    def size(config: OptimizerConfig) -> int:
        parameters = tensors()[2:3]
        optimizer = optimizer_for(config, parameters)
        parameters[0].grad = gradients(0)[2]
        optimizer.step()
        return sum(tensor.nbytes for tensor in flat(optimizer).values())

    assert size(whole) > 8 * 7200
    assert size(small) < 0.33 * size(whole)


CONFIGS = [
    OptimizerConfig(name, bits=bits, weight_decay=0.1)
    for name, bits in (
        ("adamw", 32), ("adamw_8bit", 32), ("adamw", 8), ("lamb", 32), ("lamb", 8), ("nvlamb", 32), ("nvlamb", 8),
        ("sgd", 32),
    )
]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.name}-{config.bits}")
def test_resumed_from_a_file_is_uninterrupted_bit_for_bit(
    config: OptimizerConfig, dtype: torch.dtype, tmp_path: Path
) -> None:
    whole = moved(config, 7, dtype)
    parameters = tensors(dtype)
    optimizer = optimizer_for(config, parameters)
    walk(optimizer, parameters, range(4))
    save_file(flat(optimizer), tmp_path / "optimizer.safetensors")

    resumed = [torch.nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    again = optimizer_for(config, resumed)
    restore(again, load_file(tmp_path / "optimizer.safetensors"))
    walk(again, resumed, range(4, 7))
    assert [torch.equal(one, other) for one, other in zip(whole, resumed, strict=True)] == [True] * len(SHAPES)
    before, after = flat(optimizer), flat(again)
    assert set(before) == set(after)
    assert {name: tensor.dtype for name, tensor in before.items()} == {n: t.dtype for n, t in after.items()}


def test_bits_are_those_that_were_asked_for() -> None:
    for config in CONFIGS:
        parameters = tensors()
        optimizer = optimizer_for(config, parameters)
        walk(optimizer, parameters, range(1))
        kinds = {tensor.dtype for name, tensor in flat(optimizer).items() if name.startswith("2.")}
        assert (torch.uint8 in kinds) is (config.state_bits == 8), config


def test_weights_of_16_bits_keep_what_a_16_bit_number_cannot() -> None:
    """Steps of a thousandth of what a bfloat16 near 1 can tell: on a master they add up, without one they are lost."""
    parameter = torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
    optimizer = optimizer_for(OptimizerConfig("sgd", momentum=0.0, learning_rate=1.0), [parameter])
    for _ in range(1000):
        parameter.grad = torch.full((4,), 2.0**-17, dtype=torch.bfloat16)
        optimizer.step()
    assert parameter.dtype == torch.bfloat16
    torch.testing.assert_close(parameter.detach().float(), torch.full((4,), 1 - 1000 * 2.0**-17), rtol=0, atol=2**-8)
    assert parameter.grad is not None
    optimizer.zero_grad(set_to_none=True)
    assert parameter.grad is None


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.name}-{config.bits}")
def test_a_master_takes_the_steps_of_fp32(config: OptimizerConfig) -> None:
    parameters = [torch.nn.Parameter(tensor.detach().to(torch.bfloat16)) for tensor in tensors()]
    reference = [torch.nn.Parameter(parameter.detach().float()) for parameter in parameters]
    walk(optimizer_for(config, parameters), parameters, range(5))
    plain = optimizer_for(config, reference)
    for step in range(5):
        for group in plain.param_groups:
            group["lr"] = 0.01 * (step + 1)
        for parameter, gradient in zip(reference, gradients(step, torch.bfloat16), strict=True):
            parameter.grad = gradient.float()
        plain.step()
    assert all(torch.equal(p, r.to(torch.bfloat16)) for p, r in zip(parameters, reference, strict=True))


def test_an_own_optimizer_is_given_the_settings_it_takes() -> None:
    parameters = tensors()
    config = OptimizerConfig(_target_="torch.optim.RAdam", eps=1e-4, weight_decay=0.2, arguments={"foreach": False})
    optimizer = optimizer_for(config, parameters)
    assert type(optimizer) is torch.optim.RAdam
    assert optimizer.defaults["eps"] == 1e-4
    assert (optimizer.defaults["weight_decay"], optimizer.defaults["foreach"]) == (0.2, False)
    walk(optimizer, parameters, range(2))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"_target_": "torch.optim.Nothing"}, "optimizer._target_=torch.optim.Nothing: "),
        ({"_target_": "no_such_module.x"}, "optimizer._target_=no_such_module.x: No module named 'no_such_module'"),
        ({"_target_": "math.pi"}, "optimizer._target_=math.pi: a function or a class, it is a float"),
        ({"_target_": "torch.optim.SGD", "arguments": {"size": 1}}, "optimizer._target_=torch.optim.SGD: "),
    ],
)
def test_an_own_optimizer_that_is_not_there_is_told(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        optimizer_for(OptimizerConfig(**settings), tensors())
    assert str(raised.value).startswith(told)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("config", [OptimizerConfig("adamw_8bit"), OptimizerConfig("nvlamb", bits=8)], ids=str)
def test_without_bitsandbytes_8_bits_are_refused_in_a_line(
    config: OptimizerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimizers, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as raised:
        optimizers.check(config)
    what = f"optimizer.name={config.name} with 8-bit states"
    assert str(raised.value) == f"{what} needs bitsandbytes: pip install 'knowledge-update[quantised]'"
    assert raised.value.exit_code == 2
    optimizers.check(OptimizerConfig("nvlamb"))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"name": "adam"}, "optimizer.name=adam: one of adamw, adamw_8bit, lamb, nvlamb, sgd"),
        ({"name": "sgd", "bits": 8}, "optimizer.bits=8: sgd has no 8-bit states here"),
        ({"bits": 16}, "optimizer.bits=16: 8 or 32"),
        ({"_target_": "a.b", "bits": 8}, "optimizer.bits=8: your own optimizer knows its bits itself"),
        ({"_target_": "a b"}, "optimizer._target_=a b: a dotted path, as my_module.my_name"),
        ({"arguments": {"a": 1}}, "optimizer.arguments={'a': 1}: for optimizer._target_ alone"),
        ({"_target_": "a.b", "arguments": [1]}, "optimizer.arguments=[1]: names with their values, as {size: 3}"),
        ({"betas": (0.9, 1.0)}, "optimizer.betas=[0.9, 1.0]: two shares from 0 to below 1"),
        ({"betas": (0.9,)}, "optimizer.betas=[0.9]: two shares from 0 to below 1"),
        ({"phi_min": 1.0, "phi_max": 0.5}, "optimizer.phi_max=0.5: above optimizer.phi_min"),
        ({"eps": -1.0}, "optimizer.eps=-1.0: 0 or more"),
        ({"max_grad_norm": 0.0}, "optimizer.max_grad_norm=0.0: above 0"),
    ],
)
def test_settings_that_do_not_fit_are_told(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        OptimizerConfig(**settings)
    assert str(raised.value) == told


def test_names_are_of_any_case() -> None:
    assert OptimizerConfig("AdamW").name == "adamw"
    assert OptimizerConfig("NVLAMB").name == "nvlamb"
