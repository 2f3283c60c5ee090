-- Times are seconds of the wall clock since 1970. A speaker of NULL is a guest.

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    device_id TEXT NOT NULL,
    speaker TEXT,
    mode TEXT NOT NULL CHECK (mode IN ('command', 'conversation', 'notes', 'journal')),
    -- What the turns of several sessions of one person have in common when they go on from device to device.
    thread TEXT NOT NULL,
    -- Home Assistant's own, the last one seen.
    conversation_id TEXT,
    started_at REAL NOT NULL,
    last_active REAL NOT NULL,
    -- NULL while it lives.
    ended_at REAL,
    end_reason TEXT,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
) STRICT;

CREATE INDEX sessions_alive ON sessions (last_active) WHERE ended_at IS NULL;
CREATE INDEX sessions_of_speaker ON sessions (speaker, started_at);

CREATE TABLE turns (
    id INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    thread TEXT NOT NULL,
    at REAL NOT NULL,
    said TEXT NOT NULL,
    replied TEXT NOT NULL,
    trace_id TEXT
) STRICT;

CREATE INDEX turns_of_session ON turns (session_id, id);
CREATE INDEX turns_of_thread ON turns (thread, id);
