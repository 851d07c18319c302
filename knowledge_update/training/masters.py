"""fp32 masters of weights that are computed in fewer bits: updates below a bf16 weight's last bit add up there."""

from collections.abc import Callable, Iterable
from typing import Any


def with_masters(make: Callable[[Iterable[Any]], Any], parameters: Iterable[Any]) -> Any:
    """The optimizer of some parameters, on fp32 masters where any of them is of fewer bits.

    Args:
        make: Makes an optimizer of parameters.
        parameters: The model's own.
    """
    import torch

    own = list(parameters)
    if all(parameter.dtype in (torch.float32, torch.float64) for parameter in own):
        return make(own)
    return Mastered(make, own)


class Mastered:
    """An optimizer that steps fp32 masters and rounds them into the model's own weights.

    Args:
        make: Makes the optimizer that steps.
        parameters: The model's own weights.
    """

    def __init__(self, make: Callable[[Iterable[Any]], Any], parameters: list[Any]) -> None:
        self.parameters = parameters
        self.masters = [parameter.detach().float().clone().requires_grad_() for parameter in parameters]
        self.inner = make(self.masters)
        own = dict(zip(map(id, self.masters), parameters, strict=True))
        self.param_groups = [
            {**group, "params": [own[id(master)] for master in group["params"]]} for group in self.inner.param_groups
        ]

    def step(self) -> None:
        """Steps by the gradients of the model's own weights."""
        import torch

        for outer, inner in zip(self.param_groups, self.inner.param_groups, strict=True):
            inner.update({name: value for name, value in outer.items() if name != "params"})
        for parameter, master in zip(self.parameters, self.masters, strict=True):
            master.grad = None if parameter.grad is None else parameter.grad.float()
        self.inner.step()
        self.inner.zero_grad(set_to_none=True)
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.masters)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of the model's own weights."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state, each parameter's master with it."""
        stored = dict(self.inner.state_dict())
        order = [id(master) for group in self.inner.param_groups for master in group["params"]]
        masters = dict(zip(map(id, self.masters), self.masters, strict=True))
        state = {
            number: {**stored["state"].get(number, {}), "master": masters[name].detach()}
            for number, name in enumerate(order)
        }
        return {**stored, "state": state}

    def load_state_dict(self, stored: dict[str, Any]) -> None:
        """Takes a state back, masters included."""
        import torch

        state = {number: dict(values) for number, values in stored["state"].items()}
        order = [master for group in self.inner.param_groups for master in group["params"]]
        with torch.no_grad():
            for number, values in state.items():
                order[number].copy_(values.pop("master"))
        self.inner.load_state_dict({**stored, "state": {number: values for number, values in state.items() if values}})
