"""DeepSpeed ZeRO: its engine computes and steps, our optimizer and schedule drive it.

Stages 1 and 2 share out optimizer state and gradients, 3 the weights too.
"""

import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from knowledge_update.config import Config
from knowledge_update.display import log
from knowledge_update.errors import WorkError
from knowledge_update.training import layers, lora
from knowledge_update.training.checkpoints import State
from knowledge_update.training.dropout import drawn_for
from knowledge_update.training.engines import deepspeed_file
from knowledge_update.training.engines.engine import Done
from knowledge_update.training.engines.group import Group
from knowledge_update.training.engines.sharded import Sharded
from knowledge_update.training.methods import saved
from knowledge_update.training.objective import Pack
from knowledge_update.training.optimizers import optimizer_for
from knowledge_update.training.rows import Encoded
from knowledge_update.training_config import OptimizerConfig


class Zero(Sharded):
    """The engine of DeepSpeed; it takes the model over when it is given the optimizer.

    Args:
        model: What is trained; only what requires gradients changes.
        prefix: The ids that stand before rows marked as sharing them.
        group: The processes.
        config: Names the DeepSpeed configuration, and holds ours.
    """

    def __init__(self, model: Any, prefix: tuple[int, ...], group: Group, config: Config) -> None:
        super().__init__(model, prefix, group)
        os.environ.setdefault("DS_ACCELERATOR", self.base.device.type)
        types = {str(tensor.dtype)[6:] for tensor in self.trained().values()}
        trained = types.pop() if len(types) == 1 else "float32"
        self.settings = deepspeed_file.joined(config, group.count, trained, self.base.config.hidden_size)
        self.norm = config.optimizer.max_grad_norm
        if deepspeed_file.stage(self.settings) == 3:
            # The functions read the weights of several modules, which stage 3 gathers one module at a time.
            layers.unfuse(model)
            lora.unfuse(model)
        self._engine: Any = None
        self._ordered: list[Any] = []

    def __enter__(self) -> "Zero":
        from deepspeed import DeepSpeedEngine

        asked, runs = deepspeed_file.stage(self.settings), self._engine.zero_optimization_stage()
        if not isinstance(self._engine, DeepSpeedEngine) or asked != runs:
            raise WorkError(f"ZeRO stage {asked} was asked for, {type(self._engine).__name__} of stage {runs} runs")
        return self

    def drives(self, config: OptimizerConfig) -> Any:
        """Makes the optimizer, and gives model and optimizer to DeepSpeed, which keeps its own fp32 copies."""
        optimizer = optimizer_for(config, self.trained().values(), copies=False)
        self._ordered = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        # What it prints is of no interest where it works; the first time it compiles, which takes minutes.
        with redirect_stdout(StringIO()) as said:
            import deepspeed

            self._engine, *_ = deepspeed.initialize(
                model=self.objective, optimizer=optimizer, config=self.settings, dist_init_required=False
            )
        log.debug("DeepSpeed: %s", said.getvalue().strip())
        return _Stepped(self._engine)

    def gradients(self, rows: Sequence[Encoded], step: int) -> Done:
        """Computes this process's part of the gradient of the mean loss over all processes' rows."""
        passes = list(self._passes(rows))
        own = sum(pack.counted * counts for pack, counts in passes)
        (counted,) = self.group.summed(own)
        # DeepSpeed takes the mean over the processes; ours is over their labels.
        scale = self.group.count / counted
        loss, tokens = 0.0, 0
        for number, (pack, counts) in enumerate(passes, 1):
            self._engine.set_gradient_accumulation_boundary(number == len(passes))
            with drawn_for(step, self.group.rank, number):
                came = self._forward(pack) * counts
                self._engine.backward(came * scale)
            loss += came.item()
            tokens += int(pack.ids.numel() * counts)
        loss, computed = self.group.summed(loss, tokens)
        return Done(loss / counted, int(computed))

    def clip(self, norm: float) -> None:
        """DeepSpeed does it when it steps."""
        assert norm == self.norm, "it was told the norm at the beginning"

    def whole(self) -> dict[str, Any]:
        """What is to be saved, by its names in the model."""
        return {name: self._gathered(tensor) for name, tensor in saved(self.model).items()}

    def state(self) -> State:
        """Weights and optimizer state, whole; both in fp32."""
        import torch
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        weights = {name: safe_get_full_fp32_param(tensor).cpu() for name, tensor in self.trained().items()}
        found: dict[str, torch.Tensor] = {}
        inner: dict[str, Any] = next(iter(self._inner.state.values()), {})
        for index, parameter in enumerate(self._ordered):
            for name, value in inner.items():
                number = not isinstance(value, torch.Tensor) or value.numel() == 1
                whole = torch.as_tensor(value) if number else safe_get_full_optimizer_state(parameter, name)
                found[f"{index}.{name}"] = whole.detach().clone().cpu()
        return State(weights, found)

    def restore(self, state: State) -> None:
        """Puts back what `state` gave, each process its part: into what is stepped, and into what is computed with."""
        import torch
        from deepspeed import zero
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

        for name, tensor in self.trained().items():
            safe_set_full_fp32_param(tensor, state.weights[name].float())
            with zero.GatheredParameters([tensor], modifier_rank=0), torch.no_grad():
                if tensor.shape == state.weights[name].shape:
                    tensor.copy_(state.weights[name])
        named = {key.partition(".")[2]: value for key, value in state.optimizer.items() if key.startswith("0.")}
        # State comes into being with the first step; here it is needed before.
        for part in self._parts():
            self._inner.state[part] = {
                name: value.clone() if value.numel() == 1 else torch.zeros_like(part) for name, value in named.items()
            }
        link = getattr(self._engine.optimizer, "_lazy_init_hp_params_optimizer_state", None)
        if link:
            link()
        for key, value in state.optimizer.items():
            index, _, name = key.partition(".")
            if value.numel() > 1:
                safe_set_full_optimizer_state(self._ordered[int(index)], value, name)

    def _gathered(self, tensor: Any) -> Any:
        """A tensor of the model as it is computed with, whole."""
        from deepspeed import zero

        with zero.GatheredParameters([tensor]):
            return tensor.detach().cpu().clone()

    @property
    def _inner(self) -> Any:
        """Our optimizer, as DeepSpeed holds it."""
        return self._engine.optimizer.optimizer

    def _parts(self) -> Sequence[Any]:
        """The flat tensors that our optimizer steps in this process."""
        zero = self._engine.optimizer
        parts: Sequence[Any] = (
            getattr(zero, "fp32_partitioned_groups_flat", None) or zero.single_partition_of_fp32_groups
        )
        return parts

    def _forward(self, pack: Pack) -> Any:
        return self._engine(pack)


class _Stepped:
    """The optimizer as the loop sees it: rates are set here, DeepSpeed steps.

    Args:
        engine: DeepSpeed's.
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    @property
    def param_groups(self) -> Any:
        return self._engine.optimizer.param_groups

    def step(self) -> None:
        """Clips and steps."""
        self._engine.step()

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        """DeepSpeed has done it."""
