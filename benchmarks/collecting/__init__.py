"""Measuring a collection: documents whose truth is known, a server of known latencies, the ideal schedule, the count.

The standard library alone: the interpreters of other projects import it too.
"""
