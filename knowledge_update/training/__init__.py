"""Training: rows to batches to an adapter.

`stage` runs it on a run folder. Rows: `files` and `sources` find them, `formats` and `held_out` sort them, `rows`,
`lengths` and `tokenising` make tokens of them, `taught` gathers what is trained, `replay` what is to be kept, `unknown`
what is not to be invented, `batching` puts them in order. The model: `methods` and `lora` say what of it is trained,
`trunk` computes the rest once, `layout`, `blocks`, `block_attention`, `layers` and `head` compute it fast, `objective`
is the loss. Steps: `loop`, by `engines`, `optimizers` and `schedules`; `pace` says how many. What is seen and kept of
them: `recorder`, `speed`, `validation`, `trackers`, `snapshots`, `checkpoints`.
"""
