# SPDX-License-Identifier: LGPL-2.1-or-later
"""The dashboard's layout: every import against the layers of docs/architecture.md. No host is booted."""
import functools
import json
import posixpath
import re

from hosts import TOP

JS = TOP / "web/js"
TESTS = TOP / "tests/web"
FILE_MAX = 500

# Addresses of the backend, the module that spells them, and the one below it that sends.
ROUTE = re.compile(r"""["'`/](?:api|public)/|\bfetch\(""")
ROUTES, TRANSPORT = "data/api.js", "data/http.js"


@functools.cache
def layers():
    rows = re.findall(r"^\| (\d+) \| `web/js/([\w.]*)` \|", (TOP / "docs/architecture.md").read_text(), re.MULTILINE)
    return {folder or ".": int(layer) for layer, folder in rows}


@functools.cache
def sources():
    return {p.relative_to(JS).as_posix(): p.read_text() for p in sorted(JS.rglob("*.js"))}


@functools.cache
def imports():
    """{file: {imported file: names}}, as paths below web/js. Any other form of import fails."""
    found = {}
    for name, text in sources().items():
        found[name] = {}
        for statement in re.findall(r"^import\b[^;]*;|^export\s*[{*][^;]*;|\bimport\([^)]*\)", text, re.MULTILINE):
            match = re.fullmatch(r"import\s*\{([^}]*)\}\s*from '(\.{1,2}/[^']+\.js)';", statement)
            assert match, f"{name}: {statement}"
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[2]))
            assert target not in found[name], f"{name} imports {target} twice"
            found[name][target] = {part.strip() for part in match[1].split(",") if part.strip()}
    return found


def exports(name):
    return set(re.findall(r"^export (?:async )?(?:function|class|const|let) (\w+)", sources()[name], re.MULTILINE))


def folder(name):
    return posixpath.dirname(name) or "."


def without_comments(text):
    return re.sub(r"(?m)^\s*/[/*].*$|\s//\s.*$", "", text)


def test_every_folder_has_its_layer():
    assert {folder(name) for name in sources()} == set(layers())


def test_no_import_runs_up():
    wrong = []
    for name, targets in imports().items():
        for target in targets:
            here, there = folder(name), folder(target)
            if here != there and layers()[there] >= layers()[here]:
                wrong.append(f"{name} (layer {layers()[here]}) imports {target} (layer {layers()[there]})")
            if here == there == "views":
                wrong.append(f"{name} imports {target}: what views share is a part")
    assert not wrong, "\n".join(wrong)


def test_no_modules_import_each_other():
    done, path = set(), []

    def visit(name):
        assert name not in path, f"a circle: {' → '.join([*path[path.index(name):], name])}"
        if name in done:
            return
        path.append(name)
        for target in imports()[name]:
            visit(target)
        done.add(path.pop())

    for name in imports():
        visit(name)


def test_what_is_imported_exists_and_what_is_exported_is_used():
    used = {name: set() for name in sources()}
    missing = []
    for name, targets in imports().items():
        for target, names in targets.items():
            missing += [f"{name}: {target} exports no {n}" for n in names - exports(target)]
            used[target] |= names
    for test in TESTS.glob("*.test.js"):
        for names, target in re.findall(r"\{([^{}]*)\} = await import\('/js/([^']+)'\)", test.read_text()):
            used[target] |= {part.strip() for part in names.split(",")}
    unused = [f"{name}: nobody imports {n}" for name in sources() for n in sorted(exports(name) - used[name])]
    assert not missing + unused, "\n".join(missing + unused)


def test_one_module_spells_routes():
    assert ROUTE.search(without_comments(sources()[ROUTES])), "the pattern finds no route at all"
    wrong = [f"{name}: {line.strip()}" for name, text in sources().items() if name not in (ROUTES, TRANSPORT)
             for line in without_comments(text).splitlines() if ROUTE.search(line)]
    wrong += [f"{name}: imports send()" for name, targets in imports().items() if name != ROUTES and "send" in targets.get(TRANSPORT, ())]
    assert not wrong, "\n".join(wrong)


def test_every_route_is_documented():
    paths = json.loads((TOP / "src/ssi-serverd/api/openapi.json").read_text())["paths"]
    documented = {(method.upper(), re.sub(r"\{\w+\}", "{}", path)) for path, methods in paths.items() for method in methods}
    calls = re.findall(r"\('([A-Z]+)', ['`](/[^'`?]+)", sources()[ROUTES])
    calls += [("GET", path) for path in re.findall(r"#(?:list|page)\((?:path \?\? )?['`](/[^'`?]+)", sources()[ROUTES])]
    spelled = {(method, re.sub(r"\$\{[^}]*\}", "{}", path)) for method, path in calls}
    assert len(calls) == len(ROUTE.findall(without_comments(sources()[ROUTES]))), "a route that this test does not read"
    assert not spelled - documented, spelled - documented


def test_every_route_is_used():
    subjects = re.findall(r"^  (\w+) = \{\n(.*?)^  \};|^export const (\w+) = \{\n(.*?)^\};", sources()[ROUTES], re.MULTILINE | re.DOTALL)
    calls = [f"{a or c}.{method}(" for a, b, c, d in subjects for method in re.findall(r"^ {2,4}(\w+):", b or d, re.MULTILINE)]
    calls += [f"api.{method}(" for method in re.findall(r"^  (?:async )?([a-z]\w*)\(.*\{$", sources()[ROUTES], re.MULTILINE) if method != "constructor"]
    others = "".join(text for name, text in sources().items() if name != ROUTES)
    assert len(calls) > 30, calls
    assert not [call for call in calls if call not in others]


def test_files_can_be_held_in_the_head():
    files = [*JS.rglob("*.js"), *(TOP / "web").glob("*.js"), TOP / "web/app.css"]
    long = {str(p.relative_to(TOP)): n for p in files if (n := len(p.read_text().splitlines())) > FILE_MAX}
    assert not long, long
