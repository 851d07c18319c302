"""Parameters of 16 bits, trained on a copy of 32: what one step adds is often less than a bfloat16 can tell."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class Masters(torch.optim.Optimizer):
    """An optimizer that moves fp32 copies of its parameters, and gives the parameters what they round to.

    Args:
        parameters: What is trained, of any floating type.
        build: Makes the optimizer that does the work, over the copies.
    """

    def __init__(self, parameters: Sequence[Any], build: Callable[[Sequence[Any]], torch.optim.Optimizer]) -> None:
        self.masters = [parameter.detach().to(torch.float32, copy=True) for parameter in parameters]
        self.inner = build(self.masters)
        super().__init__(parameters, {"lr": self.inner.param_groups[0]["lr"]})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Moves the copies by the parameters' gradients, then the parameters after them."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.inner.param_groups:
            group["lr"] = self.param_groups[0]["lr"]
        for parameter, master in self._pairs():
            master.grad = None if parameter.grad is None else parameter.grad.to(torch.float32)
        self.inner.step()
        for parameter, master in self._pairs():
            parameter.copy_(master)
            master.grad = None
        return loss

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        return list(zip(self.param_groups[0]["params"], self.masters, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """The working optimizer's state, and the copies as `master`."""
        state = self.inner.state_dict()["state"]
        kept = {index: {**state.get(index, {}), "master": master} for index, master in enumerate(self.masters)}
        return {"state": kept, "param_groups": super().state_dict()["param_groups"]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        rest = {}
        for index, kept in state_dict["state"].items():
            self.masters[index].data.copy_(kept["master"])
            rest[index] = {name: value for name, value in kept.items() if name != "master"}
        moved = {index: kept for index, kept in rest.items() if kept}
        self.inner.load_state_dict({**self.inner.state_dict(), "state": moved})
