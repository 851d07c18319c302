"""Talking to a model: `session` keeps a conversation, typed in `terminal` or on `page`; `serving` lets others talk.

`visitor` is who talks on the page, `run_page` what it shows of a run, `evidence` what an answer may be checked against.
"""
