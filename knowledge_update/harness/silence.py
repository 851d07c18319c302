"""Silence: what lm-eval and its libraries say on the way goes to `run.log`, their bars nowhere."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

from knowledge_update.display import log

_TALKERS = ("lm_eval", "datasets", "huggingface_hub", "transformers", "bitsandbytes", "py.warnings")


class _ToLog(logging.Handler):
    """What libraries say, for `run.log`."""

    def emit(self, record: logging.LogRecord) -> None:
        log.debug("%s: %s", record.name, record.getMessage())


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps bars and warnings of lm-eval and its libraries from the terminal; the warnings go to the log."""
    # What it does in several processes it tells by a print.
    os.environ["DISABLE_MULTIPROC"] = "1"
    loggers = [logging.getLogger(name) for name in _TALKERS]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    handler = _ToLog(logging.WARNING)
    logging.captureWarnings(True)
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
            yield
    finally:
        logging.captureWarnings(False)
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
