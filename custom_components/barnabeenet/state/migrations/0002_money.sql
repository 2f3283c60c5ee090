-- What was asked of language models and what it cost. A speaker of NULL is a guest.

CREATE TABLE calls (
    number INTEGER PRIMARY KEY,
    -- Given before it is written, so that a write that is tried again counts once.
    id TEXT NOT NULL UNIQUE,
    -- Milliseconds since 1970 (UTC), and the day that it was then at home.
    at_ms INTEGER NOT NULL,
    local_day TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    tier TEXT NOT NULL CHECK (tier IN ('instant', 'local', 'cloud_fast', 'cloud_powerful')),
    agent TEXT NOT NULL,
    speaker TEXT,
    session_id TEXT,
    trace_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    latency_ms INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    -- A part of the prompt's.
    cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    -- Millionths of a US dollar: whole numbers add up.
    cost_micro_usd INTEGER NOT NULL CHECK (cost_micro_usd >= 0),
    cost_source TEXT NOT NULL CHECK (cost_source IN ('provider', 'user', 'table', 'free', 'estimate'))
) STRICT;

CREATE INDEX calls_at ON calls (at_ms);
CREATE INDEX calls_of_trace ON calls (trace_id);

-- One row: what a restart must not forget beside the sums, which the calls give.
CREATE TABLE budget (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    day_level TEXT NOT NULL CHECK (day_level IN ('green', 'yellow', 'red')),
    day_ends_ms INTEGER NOT NULL,
    month_over INTEGER NOT NULL CHECK (month_over IN (0, 1)),
    month_ends_ms INTEGER NOT NULL,
    local_only INTEGER NOT NULL CHECK (local_only IN (0, 1)),
    -- What was spent before counts no more: a person has reset the counter. The calls stay.
    counted_from_ms INTEGER NOT NULL
) STRICT;
