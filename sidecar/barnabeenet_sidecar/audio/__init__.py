"""Audio helpers that know no engine."""
