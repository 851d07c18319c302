"""Training: rows to batches to an adapter.

`stage` runs it on a run folder; `rows` encodes, `batching` groups by length, `objective` is the loss, `lora` the
adapter, `optimizers` and `schedules` what they say, `loop` the steps, `checkpoints` what survives a kill.
"""
