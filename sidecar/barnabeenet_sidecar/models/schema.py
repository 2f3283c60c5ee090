"""The registry's tables and how they came to be; only ever extended."""

from __future__ import annotations

import sqlite3

from .errors import RegistryError

# Each migration takes the schema one version further. Pins outlive the deployments that made them: a version that is
# removed and pulled again must be the same.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE pin (
            model TEXT NOT NULL,
            version TEXT NOT NULL,
            path TEXT NOT NULL,
            size INTEGER NOT NULL CHECK (size >= 0),
            sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
            PRIMARY KEY (model, version, path)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE deployment (
            model TEXT NOT NULL,
            version TEXT NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('active', 'rollback_available', 'archived')),
            damage TEXT CHECK (damage IS NULL OR status = 'archived'),
            deployed_at TEXT NOT NULL,
            deployed_by TEXT NOT NULL,
            metrics TEXT NOT NULL DEFAULT '{}',
            PRIMARY KEY (model, version)
        ) WITHOUT ROWID
        """,
        "CREATE UNIQUE INDEX one_active ON deployment (model) WHERE status = 'active'",
        "CREATE UNIQUE INDEX one_rollback ON deployment (model) WHERE status = 'rollback_available'",
        """
        CREATE TABLE deployed_file (
            model TEXT NOT NULL,
            version TEXT NOT NULL,
            path TEXT NOT NULL,
            verified_mtime_ns INTEGER NOT NULL,
            PRIMARY KEY (model, version, path),
            FOREIGN KEY (model, version) REFERENCES deployment (model, version) ON DELETE CASCADE,
            FOREIGN KEY (model, version, path) REFERENCES pin (model, version, path)
        ) WITHOUT ROWID
        """,
    ),
)


def is_current(db: sqlite3.Connection) -> bool:
    """Whether there is nothing to migrate; only reads."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone() is None:
        return False
    row = db.execute("SELECT version FROM schema_version").fetchone()
    return row is not None and row[0] == len(MIGRATIONS)


def migrate(db: sqlite3.Connection) -> None:
    """Brings the tables to the newest version, all or nothing; call inside a transaction. Raises RegistryError."""
    db.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    row = db.execute("SELECT version FROM schema_version").fetchone()
    if row is None:
        db.execute("INSERT INTO schema_version VALUES (0)")
    version = row[0] if row else 0
    if version > len(MIGRATIONS):
        raise RegistryError(
            f"the model registry was written by a newer sidecar (schema {version}, this one knows {len(MIGRATIONS)}): "
            "update this sidecar"
        )
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            db.execute(statement)
    db.execute("UPDATE schema_version SET version = ?", (len(MIGRATIONS),))
