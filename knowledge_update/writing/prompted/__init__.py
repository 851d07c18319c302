"""The writer that asks a chat model: prompts, tolerant reading of what comes back, strict checks of it."""
