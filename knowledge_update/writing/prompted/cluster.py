"""Collecting on a Ray cluster: its workers ask for blocks of documents, what they bring enters the one ledger.

Every answer is journalled in the ledger of this machine as it returns, by an actor beside it, so that a killed
collection goes on like any other. Of limits to requests each worker has its share. Documents come one after another and
are never all here, which is why the blocks are tasks of Ray's core and not a Ray dataset.
"""

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

from knowledge_update.config import Config
from knowledge_update.display import log
from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage
from knowledge_update.errors import ConfigError, WorkError
from knowledge_update.ledger import CallRow, Ledger
from knowledge_update.writing.prompted import collector
from knowledge_update.writing.prompted.writer import Written

Block = list[tuple[Document, Sequence[Passage]]]
# A block holds so many windows full of passages: its end, where places stay empty, is short beside it.
_WINDOWS = 8


def write(
    documents: Iterable[tuple[Document, Sequence[Passage]]], config: Config, ledger: Ledger
) -> Iterator[tuple[Document, Sequence[Passage], Written]]:
    """Yields documents as the workers finish them, block by block.

    Args:
        documents: With their passages.
        config: `writer.ray` is the cluster's address, or `local`; its workers need this package and the key in their
            environment.
        ledger: Keeps every answer.

    Raises:
        ConfigError: When Ray is not installed, or the server refuses the key, the address or the model.
        WorkError: When the cluster cannot be reached, or the server stays away.
    """
    ray = _started(config)
    try:
        strategies = import_module("ray.util.scheduling_strategies")
        here = ray.get_runtime_context().get_node_id()
        beside = strategies.NodeAffinitySchedulingStrategy(here, soft=False)
        keeper = ray.remote(_Keeper).options(num_cpus=0, scheduling_strategy=beside)
        journal = keeper.remote(str(ledger.path))
        task, share = ray.remote(_written), _share(config)
        queue = _blocks(documents, _WINDOWS * share.writer.concurrency)
        flying: list[Any] = []
        while True:
            while len(flying) < config.writer.ray_workers and (block := next(queue, None)) is not None:
                flying.append(task.remote(block, share, journal))
            if not flying:
                return
            done, flying = ray.wait(flying, num_returns=1)
            yield from _brought(ray, done[0])
    finally:
        ray.shutdown()


def _started(config: Config) -> Any:
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise ConfigError("writer.ray needs Ray: pip install 'knowledge-update[ray]'") from error
    where: dict[str, Any] = {"address": config.writer.ray}
    if config.writer.ray == "local":
        where = {"address": "local", "num_cpus": config.writer.ray_workers, "include_dashboard": False}
        where["_node_ip_address"] = "127.0.0.1"
    try:
        ray.init(logging_level="warning", log_to_driver=False, **where)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WorkError(f"writer.ray={config.writer.ray}: no cluster answers there ({reason})") from error
    log.info("collecting with %d workers of the cluster %s", config.writer.ray_workers, config.writer.ray)
    return ray


def _share(config: Config) -> Config:
    """The configuration of one worker: its part of the places and of the rates."""
    share = deepcopy(config)
    writer, workers = share.writer, share.writer.ray_workers
    writer.ray = None
    writer.concurrency = max(1, writer.concurrency // workers)
    writer.rpm = writer.rpm and writer.rpm / workers
    writer.tpm = writer.tpm and writer.tpm / workers
    return share


def _blocks(documents: Iterable[tuple[Document, Sequence[Passage]]], passages: int) -> Iterator[Block]:
    """Documents together that have so many passages, or a little more."""
    block: Block = []
    for document in documents:
        block.append(document)
        if sum(len(found) for _, found in block) >= passages:
            yield block
            block = []
    if block:
        yield block


def _brought(ray: Any, done: Any) -> Iterator[tuple[Document, Sequence[Passage], Written]]:
    try:
        yield from ray.get(done)
    except ray.exceptions.RayTaskError as error:
        # Of what the worker said the message is for the user, not where in Ray it came by.
        if isinstance(error.cause, (ConfigError, WorkError)):
            raise type(error.cause)(str(error.cause)) from error
        raise


def _written(block: Block, config: Config, journal: Any) -> list[tuple[Document, Sequence[Passage], Written]]:
    """What a worker does."""
    return list(collector.write(block, config, _Journal(journal)))


class _Keeper:
    """Beside the ledger: answers what was answered before, and keeps what is answered."""

    def __init__(self, path: str) -> None:
        self.ledger = Ledger(Path(path))

    def call(self, key: str) -> CallRow | None:
        return self.ledger.call(key)

    def add_call(self, call: CallRow) -> None:
        self.ledger.add_call(call)


class _Journal:
    """The ledger's journal as a worker sees it."""

    def __init__(self, keeper: Any) -> None:
        self.keeper = keeper

    def call(self, key: str) -> CallRow | None:
        """The answer to a request that was asked before."""
        found: CallRow | None = import_module("ray").get(self.keeper.call.remote(key))
        return found

    def add_call(self, call: CallRow) -> None:
        """Keeps an answer; returns when it is kept."""
        import_module("ray").get(self.keeper.add_call.remote(call))
