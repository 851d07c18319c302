"""What every arm of `training.py` does alike in its own process: wait, train as many steps as it is told, report.

Arms stay loaded and take turns. The parent writes a number of steps to an arm's standard input, and a path where the
adapter is wanted afterwards; the arm trains them, prints a line of JSON with their seconds and losses, and waits. The
end of that input ends it.
"""

import hashlib
import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

GIB = 2**30


class Pace:
    """Trains at the parent's pace.

    Args:
        task: The file of rows and settings; without one, the path that stands first on the command line.
    """

    def __init__(self, task=None):
        # Libraries print to standard output as they like: what the parent reads goes through a copy of it.
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self.task = json.loads(Path(task or sys.argv[1]).read_text())
        self.settings = self.task["settings"]
        self._seconds, self._losses, self._left, self._loaded = [], [], 0, 0
        self._write, self._adapter = None, None

    @property
    def rows(self):
        """Token ids and labels."""
        return self.task["rows"]

    @property
    def micro_batches(self):
        """Passes of eight rows that a step is accumulated from."""
        return max(1, self.settings["rows_per_step"] // self.batch)

    @property
    def batch(self):
        """Rows of a pass: eight, which is the default of transformers' trainer and the best found for it."""
        return min(8, self.settings["rows_per_step"])

    def start(self, model, rows, packages):
        """Tells the parent that the arm is loaded, and waits.

        Args:
            model: Whose parameters are read once, so that none of them is still only mapped from its file.
            rows: What the arm trains on, as it holds it.
            packages: Names of packages whose versions are told.
        """
        import torch

        self._write = model.save_pretrained
        for parameter in model.parameters():
            parameter.detach().sum()
        pairs = [[list(row["input_ids"]), list(row["labels"])] for row in rows]
        self._loaded = _memory("VmRSS")
        # From here on the highest water mark is that of training alone.
        Path("/proc/self/clear_refs").write_text("5")
        types = sorted({str(parameter.dtype)[6:] for parameter in model.parameters()})
        self._say({
            "hash": hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:16], "dtype": "+".join(types),
            "trained": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
            "threads": torch.get_num_threads(), "versions": {name: version(name) for name in ("torch", *packages)},
        })  # fmt: skip
        self._wait()

    def step(self, loss):
        """Takes note of a step that is done; after the last of those asked for reports and waits."""
        now = time.perf_counter()
        self._seconds.append(now - self._began)
        self._losses.append(loss)
        self._began = now
        self._left -= 1
        if self._left == 0:
            self._report(done=False)
            self._wait()

    def saves(self, write):
        """Says how the adapter is written into a folder, where that is not `save_pretrained` of the model."""
        self._write = write

    def end(self):
        """Reports what was trained since the last report, the training being over."""
        self._report(done=True)

    def _report(self, done):
        memory = (_memory("VmHWM") - self._loaded) / GIB
        if self._adapter:
            self._write(self._adapter)
        self._say({"seconds": self._seconds, "losses": self._losses, "memory": memory, "done": done})
        self._seconds, self._losses = [], []

    def _say(self, row):
        print(json.dumps(row), file=self._out, flush=True)

    def _wait(self):
        told = sys.stdin.readline().strip()
        if not told:
            raise SystemExit
        steps, _, adapter = told.partition(" ")
        self._left, self._adapter = int(steps), adapter
        self._began = time.perf_counter()


def paced(pace, packages):
    """A callback of transformers' trainer that trains at a pace. It needs `logging_steps=1`."""
    from transformers import TrainerCallback

    class Paced(TrainerCallback):
        """A step is over when its loss is logged; reading the next rows belongs to the next one."""

        def on_train_begin(self, args, state, control, model=None, train_dataloader=None, **more):
            pace.start(model, train_dataloader.dataset, packages)

        def on_log(self, args, state, control, logs=None, **more):
            if logs and "loss" in logs:
                pace.step(float(logs["loss"]))

        def on_train_end(self, args, state, control, **more):
            pace.end()

    return Paced()


def trainer_arguments(settings):
    """Arguments of transformers' trainer that make its adapter's steps those of all arms."""
    return {
        "learning_rate": settings["learning_rate"], "adam_beta1": settings["betas"][0],
        "adam_beta2": settings["betas"][1], "adam_epsilon": settings["eps"], "weight_decay": settings["weight_decay"],
        "max_grad_norm": settings["max_grad_norm"], "lr_scheduler_type": settings["schedule"],
        "max_steps": settings["steps"], "train_sampling_strategy": "random" if settings["shuffled"] else "sequential",
        "logging_steps": 1, "save_strategy": "no", "report_to": "none", "seed": settings["seed"], "disable_tqdm": True,
        "bf16": settings["dtype"] == "bfloat16", "use_cpu": True,
    }  # fmt: skip


def _memory(name):
    """A line of this process's status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status has no {name}")
