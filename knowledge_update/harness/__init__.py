"""EleutherAI's lm-evaluation-harness on a run: what its tasks say of the base model, and of the updated one.

`tasks` are found and loaded, `asking` puts them to a model, `comparison` makes `lm_eval.json` of what both said;
`silence` keeps the terminal clean meanwhile.
"""
