"""Writing: what documents say becomes facts that stand alone, and questions about them.

`stage` fills the ledger and the dataset; `rules` writes without any model, in English (`english/`) and Chinese
(`chinese`), from prose and from table rows (`tables`); `checks` splits wordings and keeps the splits apart;
`unanswerable` makes questions that no document answers.
"""
