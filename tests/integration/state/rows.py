"""Rows for every ordinary table of a schema, made from the schema itself: later tables need nothing here."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

ROWS = 3


def fill(connection: sqlite3.Connection) -> None:
    """Three rows in each table that can have so many, in the order of its foreign keys; raises sqlite3.Error."""
    listed = connection.execute("PRAGMA table_list").fetchall()
    virtual = {row[1] for row in listed if row[2] == "virtual"}
    tables = {
        row[1]
        for row in listed
        if row[2] == "table" and not row[1].startswith("sqlite_") and not _belongs_to(row[1], virtual)
    }
    done: set[str] = set()
    while tables - done:
        ready = [table for table in sorted(tables - done) if _parents(connection, table) - {table} <= done]
        assert ready, "tables that refer to each other in a circle"
        for table in ready:
            _fill_table(connection, table)
            done.add(table)


def _fill_table(connection: sqlite3.Connection, table: str) -> None:
    (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    parents = {row[3]: row[2] for row in connection.execute(f"PRAGMA foreign_key_list('{table}')")}
    columns = connection.execute(f"PRAGMA table_info('{table}')").fetchall()
    for number in range(1, ROWS + 1):
        if number > 1 and re.search(r"CHECK \(\w+ = 1\)", sql):
            return  # a table of one row
        values = {
            name: _value(sql, name, kind, number, name in parents)
            for _, name, kind, needed, default, key in columns
            if (needed or key) and default is None
        }
        marks = ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))


def _value(sql: str, name: str, kind: str, number: int, refers: bool) -> Any:
    """One that the column's CHECK allows, in the type of the column; the same number is the same row of a parent."""
    allowed = re.search(rf"\b{name} IN \(([^)]*)\)", sql)
    if allowed:
        first = allowed[1].split(",")[0].strip()
        return first.strip("'") if first.startswith("'") else int(first)
    if kind == "TEXT":
        return f"{number}"
    if kind == "BLOB":
        return b"\0\0\0\0" * number
    return number


def _parents(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[2] for row in connection.execute(f"PRAGMA foreign_key_list('{table}')")}


def _belongs_to(table: str, virtual: set[str]) -> bool:
    return any(table.startswith(f"{name}_") for name in virtual)
