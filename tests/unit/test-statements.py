#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The .sql files: PostgreSQL plans every statement against the schema, and sql-embed.py refuses by name what it does not know.

Usage: test-statements.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import importlib.util
import os
import tempfile
import unittest
from pathlib import Path

import serverd
from serverd import sql

ROOT = Path(__file__).resolve().parents[2] / "src/ssi-serverd"
SPEC = importlib.util.spec_from_file_location("sql_embed", ROOT / "db/sql-embed.py")
sql_embed = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(sql_embed)

# Commands for psql, several in one.
SCRIPTS = {"admin/restore.sql"}


def statements(path):
    sections = sql_embed.read(str(ROOT), path, [])
    return {name: sql_embed.number(sql_embed.expand(s.text(), sections, {}, s.place), s)[0]
            for name, s in sections.items() if s.kind == "name"}


class Statements(unittest.TestCase):
    def test_postgresql_plans_each(self):
        files = [str(p.relative_to(ROOT)) for p in sorted(ROOT.rglob("*.sql")) if "migrations" not in p.parts]
        n = 0
        for path in files:
            for name, text in {} if path in SCRIPTS else statements(path).items():
                with self.subTest(f"{path}: {name}"):
                    # A number of C's: any will do.
                    sql(f"PREPARE s AS {sql_embed.USE.sub('1', text)}; DEALLOCATE s")
                    n += 1
        print(f"{n} statements in {len(files)} files")
        self.assertGreater(n, 80)

    def test_no_statement_is_left_in_c(self):
        found = [f"{path.relative_to(ROOT)}: {line.strip()}" for path in sorted(ROOT.rglob("*.[ch]"))
                 if path.parent.name != "db" for line in path.read_text().splitlines()
                 if any(f'"{word} ' in line for word in ("SELECT", "INSERT INTO", "UPDATE", "DELETE FROM", "WITH"))]
        self.assertEqual([line for line in found if '"SELECT 1"' not in line], [])


class Mistakes(unittest.TestCase):
    """A file with a mistake, and what is said of it."""

    def refused(self, text, what):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "a.sql"), "w", encoding="utf-8") as f:
                f.write(text)
            with self.assertRaisesRegex(sql_embed.Mistake, what):
                sql_embed.header("a.sql", sql_embed.read(folder, "a.sql", []))

    def test_each_is_named(self):
        for text, what in (
                ("SELECT 1\n", r"a\.sql:1: a statement needs a name"),
                ("-- name: a\nSELECT @b\n", r"a\.sql:1: there is no fragment b"),
                ("-- name: a(x)\nSELECT :y\n", "a has no parameter y"),
                ("-- name: a(x, y)\nSELECT :y\n", "a does not use its parameter x"),
                ("-- name: a\nSELECT 'b\n", "a literal must end on its line"),
                ("-- name: a\nSELECT 1\n-- name: a\nSELECT 2\n", r"a\.sql:3: a is there already \(a\.sql:1\)"),
                ("-- fragment: f(x)\n@x\n-- name: a\nSELECT @f\n", "@f takes x"),
                ("-- fragment: f(x)\n@x\n-- name: a\nSELECT @f(1\n", "a parenthesis is not closed"),
                ("-- fragment: f\n@g\n-- fragment: g\n@f\n-- name: a\nSELECT @f\n", "in a circle")):
            with self.subTest(text):
                self.refused(text, what)

    def made(self, text):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "a.sql"), "w", encoding="utf-8") as f:
                f.write(text)
            return sql_embed.header("a.sql", sql_embed.read(folder, "a.sql", []))

    def test_what_looks_like_a_parameter_and_is_none(self):
        out = self.made("-- name: a\nSELECT x::text, ':no', 'it''s :no', :yes, b[1:2], to_char(t, 'HH24:MI') -> '\"q\"'\n")
        self.assertIn("SQL_a_params = 1", out)
        self.assertIn("""#define SQL_a "SELECT x::text, ':no', 'it''s :no', $1, b[1:2], to_char(t, 'HH24:MI') -> '\\"q\\"'\"\n""", out)

    def test_the_last_argument_may_have_commas(self):
        self.assertIn('"SELECT (1) FROM (a, b)"', self.made("-- fragment: f(x, y)\n(@x) FROM (@y)\n-- name: a\nSELECT @f(1, a, b)\n"))

    def test_positions(self):
        out = self.made("-- name: a(x,\n--   y)\nSELECT :y, :x, @LIMIT\n")
        self.assertIn("SQL_a_x,\n        SQL_a_y,", out)
        self.assertIn('#define SQL_a "SELECT $2, $1, " STRINGIFY(LIMIT) ""', out)


if __name__ == "__main__":
    serverd.main()
