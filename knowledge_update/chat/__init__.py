"""Talking to a model: `session` keeps a conversation and streams its answers, `terminal` is where it is typed."""
