"""What tests of talking share: a model that never ends an answer, and a run that was taught on it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def unending(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, made never to end an answer."""
    folder = tmp_path_factory.mktemp("unending") / "模型 (1)"
    shutil.copytree(tiny_model, folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    for parameter in model.get_decoder().layers.parameters():
        parameter.data.mul_(12)
    model.config.tie_word_embeddings = False
    head = torch.nn.Parameter(model.get_output_embeddings().weight.detach().clone())
    head.data[:3] = 0
    model.lm_head.weight = head
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def taught(unending: Path, shared_docs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was collected and trained on it."""
    folder = tmp_path_factory.mktemp("taught") / "运行 (1)"
    settings = [f"model={unending}", "training.epochs=3", "evaluation.retention=false", "model.dtype=float32"]
    settings += ["training.log_steps=1", "adapter.upper_share=1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    for words in (["collect", str(shared_docs), *settings, "--out", str(folder)], ["train", str(folder)]):
        command = [sys.executable, "-m", "knowledge_update", *words]
        subprocess.run(command, env=environment, check=True, timeout=600, stdout=subprocess.DEVNULL)
    return folder
