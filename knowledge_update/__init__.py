"""Turns a folder of documents into a language model that knows them, and proves it."""

import logging

__version__ = "0.1.0"

# It tells of every cast, and, wherever transformers or PEFT finds it installed, that a kernel is missing that nobody
# asked for.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
