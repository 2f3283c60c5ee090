"""What can go wrong with what is kept, under one root; the texts are for a person."""

from __future__ import annotations


class StateError(Exception):
    """Anything that went wrong with the database or with Redis."""


class CannotOpen(StateError):
    """The database cannot be opened or made: folder, rights, or a schema that cannot be brought forward."""


class TooNew(CannotOpen):
    """The database was written by a newer version of the integration."""


class Corrupt(StateError):
    """The file is no database, or a damaged one."""


class CopyFailed(StateError):
    """A copy of the database cannot be made, or is no good."""


class TooLong(StateError):
    """A job took more than its time, or was told to end."""


class Unavailable(StateError):
    """The store cannot read or write now (disk full, locked, gone); it may a moment later."""


class Conflict(StateError):
    """A row breaks a rule of its table: the caller's fault, and nothing of the transaction was written."""
