-- Whether a turn holds what is its speaker's alone: a voice that may be another's is not given it as what was said before.
ALTER TABLE turns ADD COLUMN is_private INTEGER NOT NULL DEFAULT 0 CHECK (is_private IN (0, 1));
