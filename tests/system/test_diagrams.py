# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pictures of the documentation show what their sources say."""
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest

from hosts import TOP

DRAWN = sorted(p.name for p in TOP.glob("docs/images/*-*.svg"))
SVG = "{http://www.w3.org/2000/svg}"
DOCUMENTS = [TOP / "README.md", *TOP.glob("docs/*.md")]


def shapes(path):
    """What a picture shows, without the places: its texts, and how many there are of each kind of shape and colour."""
    root = ET.parse(path).getroot()
    texts = sorted(e.text for e in root.iter(f"{SVG}text"))
    kinds = sorted((e.tag, e.get("fill", ""), e.get("stroke", ""), e.get("font-weight", "")) for e in root.iter()
                   if e.get("fill") or e.get("stroke"))
    return texts, kinds


def test_each_picture_names_its_source():
    r = subprocess.run([TOP / "tools/diagrams", "--check"], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    if not shutil.which("neato"):
        pytest.skip("Graphviz is missing")
    folder = tmp_path_factory.mktemp("diagrams")
    subprocess.run([TOP / "tools/diagrams", f"--output={folder}"], check=True)
    return folder


def test_all_are_drawn(fresh):
    assert len(DRAWN) >= 8 and sorted(p.name for p in fresh.iterdir()) == DRAWN


@pytest.mark.parametrize("name", DRAWN)
def test_pictures_show_their_sources(fresh, name):
    texts, kinds = shapes(TOP / "docs/images" / name)
    assert len(texts) > 5
    assert (texts, kinds) == shapes(fresh / name)


def test_the_floors_are_those_of_the_table():
    rows = re.findall(r"^\| \d+ \| `(\w+)` \|", (TOP / "docs/architecture.md").read_text(), re.MULTILINE)
    assert len(rows) > 10 and set(rows) <= set(shapes(TOP / "docs/images/floors-light.svg")[0])


def test_documents_show_each_for_both_themes():
    shown = set()
    for document in DOCUMENTS:
        for picture in re.findall(r"<picture>\n(.*?)</picture>", document.read_text(), re.DOTALL):
            dark = re.search(r'<source media="\(prefers-color-scheme: dark\)" srcset="(\S+)-dark\.svg">', picture)
            light = re.search(r'<img src="(\S+)-light\.svg" alt="[^"]{30,}">', picture)
            assert dark and light and dark[1] == light[1], (document, picture)
            for theme in ("dark", "light"):
                path = document.parent / f"{light[1]}-{theme}.svg"
                assert path.exists(), (document, path)
                shown.add(path.name)
    assert shown == set(DRAWN)


def test_a_change_of_a_source_is_noticed(tmp_path):
    for folder in ("tools", "docs"):
        shutil.copytree(TOP / folder, tmp_path / folder)
    for source, old, new, pictures in (
            ("docs/architecture.md", "| 2 | `http` |", "| 3 | `http` |", "floors"),
            ("docs/diagrams/parts.dot", '"journald"', '"the journal"', "parts"),
            ("docs/diagrams/agent.sequence", "resume\n", "carry on\n", "agent")):
        path = tmp_path / source
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        r = subprocess.run([tmp_path / "tools/diagrams", "--check"], capture_output=True, text=True)
        assert r.returncode == 1 and r.stderr.splitlines() == [
            f"docs/images/{pictures}-{theme}.svg is not what its source says: run tools/diagrams" for theme in ("light", "dark")]
        path.write_text(text)
