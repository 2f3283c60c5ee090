"""BarnabeeNet's ears and voice: a server of speech engines for Home Assistant."""

__version__ = "0.1.0"
