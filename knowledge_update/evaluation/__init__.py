"""Evaluation: what was learned, what was forgotten, and how sure that is.

`answers` asks a run's questions of base and updated model, `scoring` says what is right, `statistics` how certain,
`retrieval` finds the passage for the open book, `stage` makes `evaluation.json`, `report` the page people look at.
"""
