"""English prose to facts and questions, from a dependency parse and no model that writes.

`references` says what pronouns and short names mean, `clauses` takes sentences apart, `questions` asks for their
parts, `wordings` varies how, `writer` walks a document. `lexicon` holds the words that the rules know.
"""
