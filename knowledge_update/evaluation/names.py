"""What sets of questions, and those who answer them, are called where people read it."""

MODELS = {
    "base": "base", "updated": "updated", "open_book": "open book", "base_retrieval": "base, search",
    "updated_retrieval": "updated, search",
}  # fmt: skip
SETS = {
    "held_out": "Held-out questions", "human": "Human questions", "reversed": "Reversed questions",
    "multi": "Multi-document questions", "trained": "Trained questions", "unanswerable": "Unanswerable questions",
    "retention": "General knowledge", "superseded": "Superseded facts", "gone": "Facts that are gone",
}  # fmt: skip
# Sets of questions that the documents answer.
ANSWERED = ("held_out", "human", "reversed", "multi", "trained")
SHORT = {
    "held_out": "held-out probes", "human": "human questions", "reversed": "reversed", "multi": "multi-document",
    "trained": "trained",
}  # fmt: skip
