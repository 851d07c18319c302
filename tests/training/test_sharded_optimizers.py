"""Under FSDP2, on two processes, optimizers take the steps that they take on whole tensors."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, sys
import torch, torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from knowledge_update.training_config import OptimizerConfig
from knowledge_update.errors import ConfigError
from knowledge_update.training.optimizers import optimizer_for

dist.init_process_group("gloo")
mesh = init_device_mesh("cpu", (2,))
given = torch.randn(8, 64, generator=torch.Generator().manual_seed(1))


def trained(config, sharded):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 96), torch.nn.Tanh(), torch.nn.Linear(96, 80))
    if sharded:
        for part in (model[0], model[2], model):
            fully_shard(part, mesh=mesh)
    optimizer = optimizer_for(config, model.parameters())
    for _ in range(4):
        model(given).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return [p.full_tensor() if sharded else p for p in model.parameters()]


found = {}
for name in ("adamw", "lamb", "nvlamb", "sgd"):
    config = OptimizerConfig(name, learning_rate=0.01, weight_decay=0.1)
    pairs = zip(trained(config, True), trained(config, False), strict=True)
    found[name] = max((one - other).abs().max().item() for one, other in pairs)
for name in ("adamw", "lamb"):
    try:
        trained(OptimizerConfig(name, bits=8), True)
    except ConfigError as error:
        found[f"{name}-8"] = str(error)
if dist.get_rank() == 0:
    print(json.dumps(found))
dist.destroy_process_group()
"""


def test_sharded_tensors_are_moved_as_whole_ones(tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "steps.py"]
    done = subprocess.run(
        launch, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    told = "optimizer.bits=8: sharded parameters have no 8-bit states here; use optimizer.bits=32"
    assert (found.pop("adamw-8"), found.pop("lamb-8")) == (told, told)
    assert found == pytest.approx(dict.fromkeys(("adamw", "lamb", "nvlamb", "sgd"), 0.0), abs=1e-7)
