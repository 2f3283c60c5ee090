-- What people asked to remember. A number is never given twice: who holds an old one forgets nobody else's.

CREATE TABLE memories (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The speaker's key; a guest has no memories.
    owner TEXT NOT NULL CHECK (owner <> ''),
    visibility TEXT NOT NULL CHECK (visibility IN ('owner', 'family')),
    kind TEXT NOT NULL CHECK (kind <> ''),
    text TEXT NOT NULL CHECK (text <> ''),
    language TEXT,
    source_trace TEXT,
    at REAL NOT NULL,
    changed_at REAL NOT NULL
) STRICT;

CREATE UNIQUE INDEX memories_once ON memories (owner, text);
CREATE INDEX memories_of_owner ON memories (owner, id);
CREATE INDEX memories_of_family ON memories (id) WHERE visibility = 'family';

-- Holds the words alone; the texts stay where they are.
CREATE VIRTUAL TABLE memories_words USING fts5 (
    text,
    content = 'memories',
    content_rowid = 'id',
    tokenize = "unicode61 remove_diacritics 2",
    prefix = '4 5 6'
);

CREATE TRIGGER memories_words_in AFTER INSERT ON memories BEGIN
    INSERT INTO memories_words (rowid, text) VALUES (new.id, new.text);
END;

CREATE TRIGGER memories_words_out AFTER DELETE ON memories BEGIN
    INSERT INTO memories_words (memories_words, rowid, text) VALUES ('delete', old.id, old.text);
END;

CREATE TRIGGER memories_words_changed AFTER UPDATE OF text ON memories WHEN old.text <> new.text BEGIN
    INSERT INTO memories_words (memories_words, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO memories_words (rowid, text) VALUES (new.id, new.text);
    -- It means something else now.
    DELETE FROM memory_vectors WHERE memory_id = new.id;
END;

-- One at a time is in use: the one that was chosen last.
CREATE TABLE embedding_models (
    name TEXT PRIMARY KEY,
    dimensions INTEGER NOT NULL CHECK (dimensions > 0),
    chosen_at REAL NOT NULL
) STRICT;

CREATE TABLE memory_vectors (
    memory_id INTEGER PRIMARY KEY REFERENCES memories (id) ON DELETE CASCADE,
    model TEXT NOT NULL REFERENCES embedding_models (name),
    -- 32-bit little-endian floats, of length one.
    vector BLOB NOT NULL
) STRICT;

-- What a model has read is counted and found without touching the vectors.
CREATE INDEX memory_vectors_of_model ON memory_vectors (model, memory_id);
