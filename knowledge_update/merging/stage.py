"""Merging: an adapter and its base to a folder that stands alone, which appears only when it has been verified."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib.resources import as_file
from importlib.resources import files as resources
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from knowledge_update.adapter_files import adapter, tokenizer_folder
from knowledge_update.adapters import adapter_base, adapter_bits, load_adapter
from knowledge_update.display import log, progress, to_file
from knowledge_update.errors import ConfigError, ModelError, WorkError
from knowledge_update.merging import companions, shards
from knowledge_update.merging.card import card, taught
from knowledge_update.merging.verification import Answers, Comparison, answers, compare
from knowledge_update.merging.weights import MergedWeights
from knowledge_update.models import identity, load_model, precision, resolve
from knowledge_update.run_folder import RunFolder, read_json, read_rows, whole_folder, write_json
from knowledge_update.templates import ChatTemplate

if TYPE_CHECKING:
    import torch
    from torch import Tensor

RECORD = "merge.json"
# What chosen tokens' log-probabilities may differ by in fp32, before it is called another model.
TOLERANCE = 1e-3
# Room on the disk beside the weights, for tokenizer and card.
_BESIDE = 64 << 20
_NEW_TOKENS = 20


@dataclass(frozen=True)
class Merge:
    """What is wanted.

    Args:
        adapter: A run folder, an adapter's, or a hub id; see `adapter_files.adapter`.
        output_dir: Where `<base>-finetune` goes; of a run folder, its `merged` where none is named.
        base: The base model, where it is not to be looked for under the name that the adapter has for it.
        dtype: What the weights are kept in: `float32`, `bfloat16`, `float16`; as the base has them where none is named.
        shard_size: Of a file at most.
        prompts: How many questions it is verified with; 0 for none.
        allow_pickle: Whether an adapter's weights may be a pickle file.
        local_files_only: Whether the hub is not to be asked.
    """

    adapter: str
    output_dir: str | None = None
    base: str | None = None
    dtype: str | None = None
    shard_size: str = "5GB"
    prompts: int = 200
    allow_pickle: bool = False
    local_files_only: bool = False


@dataclass(frozen=True)
class Merged:
    """What came of it: the folder, and comparisons with base and adapter by what was compared."""

    folder: Path
    verified: dict[str, Comparison]


def merge(wanted: Merge) -> Merged:
    """Merges an adapter into its base, verifies that the two say the same, and only then names the folder.

    Raises:
        ModelError: When adapter or base cannot be found, read or joined.
        ConfigError: When nothing says where to.
        WorkError: When there is no room, or the merged model says something else.
    """
    given = {"local_files_only": wanted.local_files_only}
    with adapter(wanted.adapter, allow_pickle=wanted.allow_pickle, **given) as folder:
        name = wanted.base or adapter_base(folder)
        try:
            base = Path(resolve(name, **given))
        except ModelError as error:
            raise ModelError(
                str(error) if wanted.base else f"{error}; --base_model names the adapter's base"
            ) from error
        target = _target(wanted, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Two at once would write into the same place.
        run = RunFolder(Path(wanted.adapter).expanduser())
        known = run if run.config.exists() else None
        with RunFolder(target.parent).alone(), to_file(run.log) if known else nullcontext():
            return _Merging(wanted, folder, base, name, known).into(target)


def _target(wanted: Merge, base: str) -> Path:
    """The folder that is to be there at the end."""
    path = Path(wanted.adapter).expanduser()
    if wanted.output_dir:
        target = Path(wanted.output_dir).expanduser() / f"{Path(base).name}-finetune"
    elif (path / "config.yaml").exists():
        target = path / "merged"
    else:
        raise ConfigError("--output_dir: name the folder that <base>-finetune is to be put into")
    if target.exists() and any(target.iterdir()) and not (target / RECORD).exists():
        raise ConfigError(f"{target} is there and was not made by `kupdate merge`: name another --output_dir")
    return target


class _Merging:
    """One merge.

    Args:
        wanted: What is wanted.
        adapter: The adapter's folder.
        base: The base model's.
        name: What the base is called.
        run: The run that the adapter is of, where it came with one.
    """

    def __init__(self, wanted: Merge, adapter: Path, base: Path, name: str, run: RunFolder | None) -> None:
        self.wanted, self.adapter, self.base, self.name, self.run = wanted, adapter, base, name, run
        self.about = taught(run)
        self.hash = adapter_hash(adapter)
        said = [identity(str(base)), self.hash, wanted.dtype, wanted.shard_size, wanted.prompts, self.about]
        self.key = hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]

    def into(self, target: Path) -> Merged:
        """Merges, verifies, and puts the folder in its place; one that is there and whole stays."""
        if done := self._finished(target):
            log.info("it is merged already")
            return done
        weights = MergedWeights(self.base, self.adapter)
        tensors = self._planned(weights)
        self._check_room(target.parent, shards.size(tensors))
        with whole_folder(target) as folder:
            self._write(weights, tensors, folder)
            template = companions.write_tokenizer(tokenizer_folder(self.base, self.adapter), folder)
            companions.write_generation(self.base, folder, template)
            settings = companions.configuration(self.base, self.wanted.dtype, untied=weights.untied)
            verified = self._verified(weights, settings, folder, template) if self.wanted.prompts else {}
            shown = {what: asdict(part) for what, part in verified.items()}
            title = self.run.path.resolve().name if self.run else target.name
            text = card(title, self.name, Path(self.wanted.adapter).name, self.about, shown, self._dtype(tensors))
            (folder / "README.md").write_text(text, encoding="utf-8")
            files = {path.name: _digest([path]) for path in sorted(folder.glob("*.safetensors"))}
            record = {
                "key": self.key, "base": self.name, "base_identity": identity(str(self.base)),
                "adapter": self.wanted.adapter, "adapter_hash": self.hash, "dtype": self._dtype(tensors),
                "verified": shown, "files": files,
            }  # fmt: skip
            write_json(folder / RECORD, record)
            # Without it no program takes the folder for a model: it comes last.
            write_json(folder / "config.json", settings)
        return Merged(target, verified)

    def _finished(self, target: Path) -> Merged | None:
        record = read_json(target / RECORD) if (target / RECORD).exists() else {}
        if record.get("key") != self.key or not (target / "config.json").exists():
            return None
        for name, digest in record["files"].items():
            if not (target / name).exists() or _digest([target / name]) != digest:
                return None
        return Merged(target, {what: Comparison(**part) for what, part in record["verified"].items()})

    def _planned(self, weights: MergedWeights) -> "dict[str, Tensor]":
        """Types and shapes of what is written."""
        import torch

        planned = {}
        for stored, source in weights.sources.items():
            kind = self._kept(weights.base.dtype(source))
            planned[stored] = torch.empty(weights.base.shapes[source], dtype=kind, device="meta")
        return planned

    def _kept(self, stored: "torch.dtype") -> "torch.dtype":
        """What a tensor is written in that is stored in some type."""
        import torch

        if not self.wanted.dtype or not stored.is_floating_point:
            return stored
        chosen: torch.dtype = getattr(torch, self.wanted.dtype)
        return chosen

    @staticmethod
    def _dtype(tensors: "dict[str, Tensor]") -> str:
        """The type of most of the weights."""
        sizes: dict[str, int] = {}
        for tensor in tensors.values():
            kind = str(tensor.dtype).removeprefix("torch.")
            sizes[kind] = sizes.get(kind, 0) + tensor.numel()
        return max(sizes, key=lambda kind: sizes[kind])

    @staticmethod
    def _check_room(place: Path, size: int) -> None:
        free, needed = shutil.disk_usage(place).free, size + _BESIDE
        if free < needed:
            raise WorkError(
                f"no room in {place}: the merged model takes {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
            )

    def _write(self, weights: MergedWeights, tensors: "dict[str, Tensor]", folder: Path) -> None:
        import torch

        files = shards.plan(tensors, self.wanted.shard_size)
        with progress("Merging", len(tensors), "tensors") as advance:

            def value(name: str) -> "Tensor":
                exact = weights.exact(name)
                kept = exact.to(tensors[name].dtype)
                if weights.changes(name) and not bool(torch.isfinite(kept).all()):
                    why = "float16 cannot hold it: say --dtype bfloat16" if kept.dtype == torch.float16 else "damaged?"
                    raise WorkError(f"{name} is not finite after the merge; {why}")
                advance()
                return kept

            # It stands in the first bytes: who hashes those tells it from its base, whose other weights it shares.
            shards.write(folder, tensors, files, value, {"format": "pt", "adapter": self.hash})

    def _verified(
        self, weights: MergedWeights, settings: dict[str, Any], folder: Path, template: ChatTemplate
    ) -> dict[str, Comparison]:
        asked = questions(self.run, self.wanted.prompts)
        before = self._heard(template, asked)
        written = load_model(str(folder), precision("float32", "auto"), config=_config(settings))
        found = {"as_written": compare(written, template, asked, before)}
        if self._lossless(weights):
            found["merged"] = found.pop("as_written")
        else:
            # What the files hold is the cast of this.
            held = written.state_dict()
            for stored, name in weights.names.items():
                held[name].copy_(weights.exact(stored))
            found = {"merged": compare(written, template, asked, before), **found}
        if bits := adapter_bits(self.adapter):
            found |= self._against_quantised(bits, written, template, asked)
        for what, part in found.items():
            log.info("%s", _said(what, part))
        if found["merged"].max_logprob_difference > TOLERANCE:
            raise WorkError(
                "the merged model does not say what base and adapter say: log-probabilities differ by up to "
                f"{found['merged'].max_logprob_difference:.3g}; nothing was kept"
            )
        return found

    def _heard(self, template: ChatTemplate, asked: Sequence[str], bits: int | None = None) -> Answers:
        """What base and adapter say, in fp32, or with the base held in some bits."""
        chosen = precision("auto" if bits else "float32", "auto")
        model = load_adapter(load_model(str(self.base), chosen, bits), self.adapter)
        return answers(model, template, asked, _NEW_TOKENS)

    def _lossless(self, weights: MergedWeights) -> bool:
        """Whether the files hold the merged weights as they were computed."""
        import torch

        stored = {weights.base.dtype(source) for source in weights.sources.values()}
        return all(self._kept(kind) == torch.float32 for kind in stored if kind.is_floating_point)

    def _against_quantised(
        self, bits: int, written: Any, template: ChatTemplate, asked: Sequence[str]
    ) -> dict[str, Comparison]:
        """How far the merged model is from what was trained, where the base was held in 4 or 8 bits then."""
        try:
            before = self._heard(template, asked, bits)
        except ModelError as error:
            log.warning("the adapter was trained on a base of %d bits and was not compared with that: %s", bits, error)
            return {}
        return {f"on_{bits}_bits": compare(written, template, asked, before)}


def questions(run: RunFolder | None, count: int) -> list[str]:
    """What a merged model is asked: a run's questions about its documents by turns with general ones."""
    with as_file(resources("knowledge_update.evaluation") / "data" / "retention.jsonl") as path:
        general = [row["question"] for row in read_rows(path)]
    files = [run.dataset(name) for name in ("probes", "questions")] if run else []
    taught = [row["question"] for file in files if file.exists() for row in read_rows(file)]
    mixed = [text for pair in zip_longest(taught, general) for text in pair if text is not None]
    return list(dict.fromkeys(mixed))[:count]


def _said(what: str, part: Comparison) -> str:
    """A comparison in a line."""
    told = {
        "merged": "merged, in fp32: of %s greedy answers %s are those of base and adapter",
        "as_written": "as written: of %s greedy answers %s are those of base and adapter in fp32",
    }
    bits = what.removeprefix("on_").partition("_")[0]
    line = told.get(
        what, f"the adapter was trained on a base of {bits} bits: of its %s greedy answers there %s are the same"
    )
    same = round(part.agreement * part.prompts)
    near = f" ({part.near_ties} others are near-ties)" if part.near_ties else ""
    return f"{line % (part.prompts, same)}{near}; log p differs by at most {part.max_logprob_difference:.2g}"


def _config(settings: dict[str, Any]) -> Any:
    """A configuration that stands in no folder yet."""
    from transformers import AutoConfig

    with TemporaryDirectory() as place:
        write_json(Path(place) / "config.json", settings)
        return AutoConfig.from_pretrained(place)


def adapter_hash(folder: Path) -> str:
    """By which a merged model knows its adapter."""
    return _digest([folder / "adapter_config.json", folder / "adapter_model.safetensors"])


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()
