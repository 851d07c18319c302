"""The weights of a base model with an adapter in them, tensor by tensor.

A base is read out of its files one tensor at a time, so that memory does not grow with it. What an adapter does to a
tensor, PEFT says: its layers stand around a model that has shapes and no weights, and get the weight that is merged.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge_update.adapters import load_adapter
from knowledge_update.errors import ModelError
from knowledge_update.models import first_line
from knowledge_update.run_folder import read_json

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# What PEFT puts into the names of what it has changed.
_WRAPPED = (".base_layer", ".modules_to_save.default")


class BaseWeights:
    """The tensors in a model folder's files.

    Args:
        folder: As `models.resolve` gives it.

    Raises:
        ModelError: When it has no safetensors that can be read.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors import SafetensorError, safe_open

        self._files: dict[str, Path] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        for file in _files(folder):
            try:
                with safe_open(file, framework="pt") as tensors:
                    for name in tensors.keys():  # noqa: SIM118
                        self._files[name] = file
                        self.shapes[name] = tuple(tensors.get_slice(name).get_shape())
            except (OSError, SafetensorError) as error:
                raise ModelError(f"{file} cannot be read: {first_line(error)}") from error

    def read(self, name: str) -> "Tensor":
        """A tensor as it is stored; its file is open no longer than the tensor lives."""
        from safetensors import safe_open

        with safe_open(self._files[name], framework="pt") as tensors:
            found: Tensor = tensors.get_tensor(name)
            return found

    def dtype(self, name: str) -> "torch.dtype":
        """What a tensor is stored in."""
        from safetensors import safe_open

        with safe_open(self._files[name], framework="pt") as tensors:
            kept = tensors.get_slice(name)
            # Of a scalar no slice can be taken.
            return tensors.get_tensor(name).dtype if not kept.get_shape() else kept[:0].dtype  # type: ignore[no-any-return]


def _files(folder: Path) -> list[Path]:
    """The files that transformers reads of a folder: others may stand beside them."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        return [folder / name for name in sorted(set(read_json(index)["weight_map"].values()))]
    if (folder / "model.safetensors").exists():
        return [folder / "model.safetensors"]
    raise ModelError(f"the base model in {folder} has no weights in safetensors")


class MergedWeights:
    """The tensors of a base model with an adapter in them.

    Args:
        base: The folder of the base model.
        adapter: The folder of the adapter.

    Attributes:
        sources: The tensors of the merged model by their names in its files, with the names of those of the base
            that they come from: the same, but where weights that base shares become two.
        names: Their names in a model of transformers.
        untied: Whether weights that the base shares become two.

    Raises:
        ModelError: When the two do not fit together, or the adapter is of a kind that cannot be merged.
    """

    def __init__(self, base: Path, adapter: Path) -> None:
        self.base = BaseWeights(base)
        model = _hollow(base)
        names = _names(model, self.base.shapes)
        ends = {_name_of(model, model.get_input_embeddings()), _name_of(model, model.get_output_embeddings())}
        shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        head = f"{_name_of(model, model.get_output_embeddings())}.weight"
        peft = load_adapter(model, adapter, low_cpu_mem_usage=True, torch_device="cpu")
        _check(peft, adapter)
        self._layers = _layers(peft)
        self._own = _own(peft)
        changed = {*self._layers, *(name.rpartition(".")[0] for name in self._own)}
        if not changed:
            raise ModelError(f"{adapter} changes no weights: there is nothing to merge")
        self.names = {stored: name for stored, name in names.items() if name}
        self.sources = {stored: stored for stored in self.base.shapes}
        self.untied = head not in names.values() and bool(changed & ends) and bool(ends - {""})
        if self.untied:
            (embedding,) = (stored for stored, name in self.names.items() if name.rpartition(".")[0] in ends)
            self.sources[head], self.names[head] = embedding, head
        known = set(self.names.values())
        for module in changed:
            if f"{module}.weight" not in known:
                raise ModelError(f"{adapter}: the base keeps no tensor of its own for {module}, it cannot be merged")
        for stored, name in self.names.items():
            if name in shapes and shapes[name] != self.base.shapes[self.sources[stored]]:
                raise ModelError(f"{base}: {stored} has another shape than its config.json says")

    def exact(self, stored: str) -> "Tensor":
        """A tensor of the merged model, by its name in the files: in fp32 where the adapter has changed it."""
        name, weight = self.names.get(stored, ""), self.base.read(self.sources[stored])
        module, _, leaf = name.rpartition(".")
        if module in self._layers and leaf == "weight":
            return self._merged(self._layers[module], weight)
        return self._own.get(name, weight)

    def changes(self, stored: str) -> bool:
        """Whether the adapter changes a tensor."""
        name = self.names.get(stored, "")
        return name in self._own or (name.endswith(".weight") and name.rpartition(".")[0] in self._layers)

    def _merged(self, layer: Any, weight: "Tensor") -> "Tensor":
        from torch.nn import Parameter

        holder = layer.get_base_layer()
        before = holder.weight
        if _is_hollow(before):
            holder.weight = Parameter(weight.float(), requires_grad=False)
        try:
            layer.merge(safe_merge=True)
            merged: Tensor = holder.weight.data
            return merged.float()
        except ValueError as error:
            raise ModelError(f"the adapter's weights cannot be merged: {first_line(error)}") from error
        finally:
            layer.merged_adapters.clear()
            holder.weight = before


def _hollow(folder: Path) -> Any:
    """A model with shapes and no weights: each is a single number, seen everywhere.

    On the meta device, which is meant for this, PEFT would lose the adapter's weights too.
    """
    import torch
    from torch.nn import Parameter
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(str(folder))
        if getattr(config, "quantization_config", None):
            raise ModelError(
                f"the base model in {folder} is kept quantised, nothing can be merged into it exactly: "
                "--base_model names the one that it was made of"
            )
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot load the model in {folder}: {first_line(error)}") from error
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, Parameter(torch.zeros(()).expand(parameter.shape), requires_grad=False))
    model.config._name_or_path = str(folder)
    return model


def _is_hollow(parameter: Any) -> bool:
    return bool(parameter.untyped_storage().nbytes() == parameter.element_size() and parameter.numel() > 1)


def _names(model: Any, stored: Any) -> dict[str, str]:
    """The model's names of tensors by those in its files, as transformers loads them; empty where several make one."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

    mapping = get_model_conversion_mapping(model) or []
    renamings = [entry for entry in mapping if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in mapping if isinstance(entry, WeightConverter)]
    wanted, found = model.state_dict(), dict[str, str]()
    for key in stored:
        name, several = rename_source_key(key, renamings, converters, model.base_model_prefix, wanted)
        if name not in wanted and key in wanted:
            name, several = key, None
        found[key] = "" if several else name
    return found


def _name_of(model: Any, wanted: Any) -> str:
    return next((str(name) for name, module in model.named_modules() if module is wanted and wanted is not None), "")


def _check(peft: Any, folder: Path) -> None:
    """Refuses what changes more than weights, or weights by more than PEFT's layers say."""
    config = peft.peft_config["default"]
    for name in ("lora_bias", "target_parameters", "trainable_token_indices"):
        if getattr(config, name, None):
            raise ModelError(f"{folder}: an adapter with {name} cannot be merged here")


def _layers(peft: Any) -> dict[str, Any]:
    """PEFT's layers by the names of the modules that they stand around."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return {
        name: module
        for name, module in peft.get_base_model().named_modules()
        if isinstance(module, BaseTunerLayer)
        and hasattr(module, "merge")
        and hasattr(module.get_base_layer(), "weight")
    }


def _own(peft: Any) -> dict[str, "Tensor"]:
    """What an adapter puts in a weight's place, by the weight's name: whole modules, biases."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    base = peft.get_base_model()
    inside = {
        f"{name}.{part}"
        for name, module in base.named_modules()
        if isinstance(module, BaseTunerLayer)
        for kind in module.adapter_layer_names
        for part, _ in module.named_parameters()
        if part.startswith(kind)
    }
    layers, found = _layers(peft), dict[str, Any]()
    for name, parameter in base.named_parameters(remove_duplicate=False):
        if name in inside or _is_hollow(parameter) or ".original_module." in name:
            continue
        plain = name
        for part in _WRAPPED:
            plain = plain.replace(part, "")
        module, _, leaf = plain.rpartition(".")
        if not (module in layers and leaf == "weight"):
            found[plain] = parameter.data
    return found
