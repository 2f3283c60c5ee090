-- The voices of people who have let Barnabee learn them. Nothing else of the home points here: a voice goes without a trace.

CREATE TABLE voice_samples (
    id INTEGER PRIMARY KEY,
    -- As in sessions: "person" and the id of their subentry.
    speaker TEXT NOT NULL,
    -- What made the vector: voices of different engines cannot be compared.
    engine TEXT NOT NULL,
    -- 32-bit floats, little-endian.
    vector BLOB NOT NULL,
    speech_ms REAL NOT NULL,
    snr_db REAL NOT NULL,
    -- Which of the phrases that people read out, from 0 on.
    phrase INTEGER NOT NULL,
    -- Seconds of the wall clock since 1970.
    at REAL NOT NULL
) STRICT;

CREATE INDEX voice_samples_of_speaker ON voice_samples (speaker, id);
