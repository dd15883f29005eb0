#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Turns a file of SQL statements into a C header. Usage: sql-embed.py ROOT INPUT OUTPUT DEPFILE

A file holds statements and the fragments that they share, each after a line that names it:

    -- include model/fragments.sql        the fragments of another file, below ROOT
    -- fragment: time(x)                  text that statements use as @time(s.created_at); its parameters are written @x
    -- name: account_find                 a statement, used in C as SQL(account_find, .id = id)

A parameter of a statement is written :id, and is the member id in C; a cast (::text) or a literal is left alone. Where C
passes parameters by position, the line gives the order, "-- name: items(id, cursor)", and may continue on the next
lines; SQL_items_cursor is then a position. @LIMIT, in capitals, is a C macro for a number. Other comment lines are
ignored."""

import os
import re
import sys

HEAD = re.compile(r"--\s*(name|fragment):\s*(\w+)\s*(?:\(([^)]*)\))?\s*$")
OPEN = re.compile(r"--\s*(name|fragment):\s*\w+\s*\([^)]*$")
INCLUDE = re.compile(r"--\s*include\s+(\S+)\s*$")
LITERAL = re.compile(r"('(?:[^']|'')*')")
PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)")
USE = re.compile(r"@(\w+)")


class Mistake(Exception):
    pass


class Section:
    def __init__(self, kind, name, order, place):
        self.kind, self.name, self.order, self.place, self.lines = kind, name, order, place, []

    def text(self):
        return " ".join(self.lines)


def words(text):
    return [word.strip() for word in text.split(",")] if text and text.strip() else []


def read(root, path, depends):
    depends.append(f"{root}/{path}")
    sections = {}
    section = begun = None
    with open(f"{root}/{path}", encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.strip()
            place = f"{path}:{number}"
            if begun:
                line = f"{begun} {line.lstrip('- ')}"
            begun = line if line.startswith("--") and OPEN.match(line) else None
            if begun:
                continue
            if match := INCLUDE.match(line):
                sections.update({name: s for name, s in read(root, match[1], depends).items() if s.kind == "fragment"})
            elif match := HEAD.match(line):
                order = None if match[3] is None else words(match[3])
                section = Section(match[1], match[2], order, place)
                if section.name in sections:
                    raise Mistake(f"{place}: {section.name} is there already ({sections[section.name].place})")
                sections[section.name] = section
            elif line and not line.startswith("--"):
                if section is None:
                    raise Mistake(f"{place}: a statement needs a name: -- name: …")
                if line.count("'") % 2:
                    raise Mistake(f"{place}: a literal must end on its line")
                section.lines.append(line)
    return sections


def arguments(text, start, wanted, place):
    """Returns the arguments in parentheses at start, and the position after them. The last one may contain commas."""
    depth, literal, found, begin = 0, False, [], start + 1
    for at in range(start, len(text)):
        c = text[at]
        if c == "'":
            literal = not literal
        elif literal:
            continue
        elif c == "(":
            depth += 1
        elif c == ")":
            depth -= 1
            if depth == 0:
                found.append(text[begin:at].strip())
                return found, at + 1
        elif c == "," and depth == 1 and len(found) + 1 < wanted:
            found.append(text[begin:at].strip())
            begin = at + 1
    raise Mistake(f"{place}: a parenthesis is not closed: {text[start:start + 40]}")


def expand(text, sections, bound, place, depth=0):
    """Expands fragments, and the arguments of the fragment being expanded."""
    if depth > 10:
        raise Mistake(f"{place}: fragments use each other in a circle")
    result, at = "", 0
    while match := USE.search(text, at):
        result += text[at:match.start()]
        at, name = match.end(), match[1]
        if name in bound:
            result += bound[name]
        elif name.isupper():
            result += f"@{name}"
        elif name in sections and sections[name].kind == "fragment":
            fragment, given = sections[name], []
            if fragment.order is not None:
                if text[at:at + 1] != "(":
                    raise Mistake(f"{place}: @{name} takes {', '.join(fragment.order)}")
                given, at = arguments(text, at, len(fragment.order), place)
            if len(given) != len(fragment.order or []):
                raise Mistake(f"{place}: @{name} takes {', '.join(fragment.order or [])}")
            given = [expand(argument, sections, bound, place, depth) for argument in given]
            result += expand(fragment.text(), sections, dict(zip(fragment.order or [], given)), fragment.place, depth + 1)
        else:
            raise Mistake(f"{place}: there is no fragment {name}")
    return result + text[at:]


def number(text, section):
    """Replaces parameter names by numbers, in the given order or the order of appearance."""
    order = list(section.order or [])

    def position(match):
        if match[1] not in order:
            if section.order is not None:
                raise Mistake(f"{section.place}: {section.name} has no parameter {match[1]}")
            order.append(match[1])
        used.add(match[1])
        return f"${order.index(match[1]) + 1}"

    used = set()
    # Odd parts are literals.
    parts = LITERAL.split(text)
    parts[::2] = [PARAMETER.sub(position, part) for part in parts[::2]]
    for name in order:
        if name not in used:
            raise Mistake(f"{section.place}: {section.name} does not use its parameter {name}")
    return "".join(parts), order


def c_string(text):
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"@([A-Z]\w*)", r'" STRINGIFY(\1) "', text) + '"'


def header(path, sections):
    out = ["/* SPDX-License-Identifier: LGPL-2.1-or-later */", f"/* Made by sql-embed.py from {path}. */", "#pragma once", "", '#include "db/statement.h"', ""]
    for section in sections.values():
        if section.kind != "name":
            continue
        text, order = number(expand(section.text(), sections, {}, section.place), section)
        if section.order is not None:
            out += ["enum {", *(f"        SQL_{section.name}_{name}," for name in order), "};"]
        out += [f"enum {{ SQL_{section.name}_params = {len(order)} }};",
                f"struct sql_{section.name} {{", *(f"        const char *{name};" for name in order), "};",
                f"#define SQL_{section.name} {c_string(text)}", ""]
    return "\n".join(out)


def main():
    root, source, output, depfile = sys.argv[1:]
    path = os.path.relpath(source, root)
    depends = []
    try:
        text = header(path, read(root, path, depends))
    except (Mistake, OSError) as e:
        sys.exit(f"sql-embed: {e}")
    with open(output, "w", encoding="utf-8") as f:
        f.write(text)
    with open(depfile, "w", encoding="utf-8") as f:
        f.write(f"{output}: {' '.join(depends)}\n")


if __name__ == "__main__":
    main()
