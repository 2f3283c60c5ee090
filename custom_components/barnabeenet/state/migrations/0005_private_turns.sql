-- Whether a turn holds what is its speaker's alone: a voice that may be another's is not given it as what was said before.
ALTER TABLE turns ADD COLUMN is_private INTEGER NOT NULL DEFAULT 0 CHECK (is_private IN (0, 1));
-- Of talks that go on nobody knows it any more.
UPDATE turns SET is_private = 1
WHERE thread IN (SELECT thread FROM sessions WHERE speaker IS NOT NULL AND ended_at IS NULL);
