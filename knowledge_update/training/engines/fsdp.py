"""FSDP2 (`fully_shard`): every process holds a part of each weight; a layer is gathered while it computes.

Decoder layers are gathered one by one, all else (embeddings, last norm, head) with the objective around them, whose
`forward` is what is called. Threads of a process cannot gather side by side: PyTorch's own compute instead.
"""

from collections.abc import Sequence
from typing import Any

from knowledge_update.errors import ConfigError, WorkError
from knowledge_update.training.checkpoints import State
from knowledge_update.training.dropout import drawn_for
from knowledge_update.training.engines.engine import Done
from knowledge_update.training.engines.group import Group
from knowledge_update.training.engines.sharded import Sharded
from knowledge_update.training.methods import saved
from knowledge_update.training.objective import Pack
from knowledge_update.training.optimizer_state import flat, restore
from knowledge_update.training.optimizers import optimizer_for
from knowledge_update.training.rows import Encoded
from knowledge_update.training_config import OptimizerConfig


class FullyShard(Sharded):
    """The engine of FSDP2; the model is sharded when it is made.

    Args:
        model: What is trained; only what requires gradients changes.
        prefix: The ids that stand before rows marked as sharing them.
        group: The processes.

    Raises:
        ConfigError: When the model's layers cannot be found.
    """

    def __init__(self, model: Any, prefix: tuple[int, ...], group: Group) -> None:
        super().__init__(model, prefix, group)
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        decoder = self.base.get_decoder()
        if not hasattr(decoder, "layers"):
            raise ConfigError(f"engine=fsdp2: a {type(decoder).__name__} has no layers to shard; use engine=deepspeed")
        self.mesh = init_device_mesh(self.base.device.type, (group.count,))
        for layer in (*decoder.layers, self.objective):
            module = fully_shard(layer, mesh=self.mesh)
            # Sums, whatever the backend: the mean over all processes' labels is taken once, at the end of a step.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
        self.optimizer: Any = None

    def __enter__(self) -> "FullyShard":
        from torch.distributed.tensor import DTensor

        whole = [name for name, tensor in self.model.named_parameters() if not isinstance(tensor, DTensor)]
        if whole:
            raise WorkError(f"engine=fsdp2 was asked for, and {whole[0]} is not sharded")
        return self

    def drives(self, config: OptimizerConfig) -> Any:
        """Makes the optimizer; the loop steps it itself, each process its part."""
        self.optimizer = optimizer_for(config, self.trained().values())
        return self.optimizer

    def gradients(self, rows: Sequence[Encoded], step: int) -> Done:
        """Gives every trained parameter its part of the gradient of the mean loss over all processes' rows."""
        loss, counted, tokens = 0.0, 0.0, 0
        for index, (pack, counts) in enumerate(self._passes(rows)):
            with drawn_for(step, self.group.rank, index):
                own = self._forward(pack) * counts
                own.backward()
            loss += own.item()
            counted += pack.counted * counts
            tokens += int(pack.ids.numel() * counts)
        loss, counted, computed = self.group.summed(loss, counted, tokens)
        for parameter in self.trained().values():
            parameter.grad.div_(counted)
        return Done(loss / counted, int(computed))

    def clip(self, norm: float) -> None:
        """Bounds the norm of all gradients together, over all processes."""
        import torch

        torch.nn.utils.clip_grad_norm_(self.trained().values(), norm)

    def whole(self) -> dict[str, Any]:
        """What is to be saved, by its names in the model."""
        return {name: _whole(tensor) for name, tensor in saved(self.model).items()}

    def state(self) -> State:
        """Weights and optimizer state, whole."""
        return State({name: _whole(tensor) for name, tensor in self.trained().items()}, flat(self.optimizer, _whole))

    def restore(self, state: State) -> None:
        """Puts back what `state` gave, each process its part."""
        import torch

        tensors = self.trained()
        with torch.no_grad():
            for name, tensor in tensors.items():
                tensor.copy_(_part(state.weights[name], tensor))
        ordered = list(tensors.values())
        parts = {key: _part(tensor, ordered[int(key.split(".")[0])]) for key, tensor in state.optimizer.items()}
        restore(self.optimizer, parts)

    def _forward(self, pack: Pack) -> Any:
        return self.objective(pack)


def _whole(tensor: Any) -> Any:
    from torch.distributed.tensor import DTensor

    whole: Any = tensor.detach()
    return whole.full_tensor().cpu() if isinstance(whole, DTensor) else whole


def _part(whole: Any, like: Any) -> Any:
    """This process's part of a tensor that is sharded as another of its shape is; of a single number, all."""
    from torch.distributed.tensor import distribute_tensor

    if whole.shape != like.shape:
        return whole
    return distribute_tensor(whole.to(like.device), like.device_mesh, like.placements)
