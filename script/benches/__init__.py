"""Benches of the sidecar alone: its engines, its queue, its boundary."""
