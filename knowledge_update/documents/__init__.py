"""Documents: read by format into blocks of text, cut into chunks.

`reading` finds and reads files, `formats` turns one file's bytes into blocks, `chunking` cuts a document into passages.
"""
