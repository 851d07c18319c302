"""Writing facts and questions from Chinese prose, without any model."""

from knowledge_update.writing.chinese.writer import write

__all__ = ["write"]
