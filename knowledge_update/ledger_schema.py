"""The tables of the ledger, and the joins that its readers share."""

# What a database keeps in memory at most: identities are hashes, so that neighbours stand far apart.
CACHE_KB = 16_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
    id TEXT PRIMARY KEY, doc_id TEXT NOT NULL, path TEXT NOT NULL, title TEXT NOT NULL,
    media_type TEXT NOT NULL, language TEXT NOT NULL, version INTEGER NOT NULL,
    date TEXT NOT NULL DEFAULT '', collected INTEGER NOT NULL DEFAULT 1, current INTEGER NOT NULL DEFAULT 1);
CREATE TABLE IF NOT EXISTS chunk (id TEXT PRIMARY KEY, text TEXT NOT NULL, theme TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS occurrence (
    chunk TEXT NOT NULL REFERENCES chunk(id), document TEXT NOT NULL REFERENCES document(id),
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, heading_path TEXT NOT NULL,
    PRIMARY KEY (document, start, chunk));
CREATE TABLE IF NOT EXISTS fact (
    id TEXT PRIMARY KEY, chunk TEXT NOT NULL REFERENCES chunk(id), text TEXT NOT NULL, quote TEXT NOT NULL,
    quote_start INTEGER NOT NULL, quote_end INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'superseded', 'retired')),
    person TEXT NOT NULL DEFAULT '', replaced_by TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS question (
    id TEXT PRIMARY KEY, fact TEXT NOT NULL REFERENCES fact(id),
    split TEXT NOT NULL CHECK (split IN ('train', 'validation', 'probe')),
    form TEXT NOT NULL, role TEXT NOT NULL, wording TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL,
    person TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS rewrite (
    id TEXT PRIMARY KEY, chunk TEXT NOT NULL REFERENCES chunk(id), genre TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS call (
    key TEXT PRIMARY KEY, text TEXT NOT NULL, cut INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, seconds REAL NOT NULL, attempts INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS "drop" (
    stage TEXT NOT NULL, item TEXT NOT NULL, reason TEXT NOT NULL, chunk TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (stage, item, reason));
CREATE TABLE IF NOT EXISTS collection (number INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS edit (item TEXT NOT NULL, field TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL);
"""
# What ledgers of earlier versions lack, by table.
LATER = {
    "document": (
        "date TEXT NOT NULL DEFAULT ''", "collected INTEGER NOT NULL DEFAULT 1", "current INTEGER NOT NULL DEFAULT 1",
    ),
    "fact": ("person TEXT NOT NULL DEFAULT ''", "replaced_by TEXT NOT NULL DEFAULT ''"),
    "question": ("person TEXT NOT NULL DEFAULT ''",),
    "drop": ("chunk TEXT NOT NULL DEFAULT ''",),
}  # fmt: skip
INDEXES = """
CREATE INDEX IF NOT EXISTS fact_of_chunk ON fact(chunk);
CREATE INDEX IF NOT EXISTS fact_by_status ON fact(status, person);
CREATE INDEX IF NOT EXISTS question_of_fact ON question(fact);
CREATE INDEX IF NOT EXISTS question_of_person ON question(fact) WHERE person <> '';
CREATE INDEX IF NOT EXISTS fact_of_person ON fact(id) WHERE person <> '';
CREATE INDEX IF NOT EXISTS rewrite_of_chunk ON rewrite(chunk);
CREATE INDEX IF NOT EXISTS drop_of_chunk ON "drop"(chunk);
CREATE INDEX IF NOT EXISTS document_by_path ON document(path, doc_id);
CREATE INDEX IF NOT EXISTS document_by_name ON document(doc_id);
CREATE INDEX IF NOT EXISTS occurrence_of_chunk ON occurrence(chunk);
"""
# A passage that stands in several documents is told where it stands first.
PLACES = """document d CROSS JOIN occurrence o ON o.document = d.id CROSS JOIN chunk c ON c.id = o.chunk"""
FIRST = """NOT EXISTS (SELECT 1 FROM occurrence p JOIN document e ON e.id = p.document WHERE p.chunk = o.chunk AND {}
    (e.path, e.doc_id, e.rowid, p.start) < (d.path, d.doc_id, d.rowid, o.start))"""
# What was left out of passages that are there now, or of no passage.
THERE = """(chunk = '' OR EXISTS (SELECT 1 FROM occurrence o JOIN document d ON d.id = o.document
    WHERE o.chunk = "drop".chunk AND d.current))"""
