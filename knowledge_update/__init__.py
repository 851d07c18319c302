"""Turns a folder of documents into a language model that knows them, and proves it."""

__version__ = "0.1.0"
