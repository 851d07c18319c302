"""The judge: whether answers are right, and which of two is better, said by rules or by a chat model.

`cases` is what is judged, `rules` and `chat` are who judges, `trial` whether they can, `figures` what comes of it;
`stage` does it for a run folder, `files` for two files of answers.
"""
