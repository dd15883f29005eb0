# SPDX-License-Identifier: LGPL-2.1-or-later
"""What README, docs and man pages tell people to type works, in the order in which they tell it."""
import json
import re
import subprocess

import pytest

from conftest import register
from hosts import TOP

DOCUMENTS = ["README.md", "CONTRIBUTING.md", *sorted(str(p.relative_to(TOP)) for p in TOP.glob("docs/*.md"))]
PAGES = ["ssictl.1", "ssi-serverd.8", "ssid.8", "ssi-uplinkd.8", "ssi-service-script.7"]
LANGUAGES = {"sh", "bash", "text", "ini", "json", "sql", "js", "yaml"}

# What is not run here, and why.
ELSEWHERE = {
    r"apt (install|purge) ": "packages: tests/packages/test_packages.py",
    r"apt update$|/etc/apt/|tools/(build-deb|apt-repository)": "needs packages: tests/packages/test_apt_repository.py",
    r"tools/demo$": "test_demo.py",
    r"tools/dev$": "tests/packages/test_dev.py",
    r"tests/run\b": "runs this",
    r"tests/(fault/run|attack/)": "test_faults.py",
    r"tests/ha/run": "boots a cluster of ten hosts",
    r"(ansible-playbook|ansible-vault|patronictl) |SSI_BUILD_DIR=": "needs a cluster: tests/ha/run",
    r"tests/(packages/check-|container/run)": "run by hand: they build for minutes",
    r"tests/versions/run": "builds two versions, for minutes",
    r"tests/machine/run": "emulates a whole machine, for a quarter of an hour",
    r"tools/install-deps": "installs packages by APT on the machine itself: tests/run begins with it",
    r"ssi-server-ca.service$|ssi-server-ca(/ca.key .*)?$|postgres-newer$": "gives the database away, for another version: tests/versions/run",
    r"meson (setup|install) |ninja -C ": "this host has what they made: tests/testhost",
    r"systemd-sysusers$|systemctl (daemon-reload|reload dbus)$": "tests/testhost does as much before the boot",
    r"mail -s ": "there is no mail on this host",
    r"logger ": "does not end",
    r"ssictl server (join-token$|withdraw-join-token|leave)": "needs a second host: test_server_join.py",
}
# These say with 3 that something needs attention, and that is all right.
ATTENTION = re.compile(r"ssictl (status|run|test|uplink|add --run)\b")


def fences(document):
    """(language, text) of each fenced block."""
    text = (TOP / document).read_text()
    assert text.count("\n```") % 2 == 0, document
    return re.findall(r"^```(.*?)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def examples(page):
    """The blocks of a man page that show what to type or to write."""
    text = (TOP / "man" / page).read_text()
    return [b.replace("\\-", "-").replace("\\&", "") for b in re.findall(r"^\.EX\n(.*?)^\.EE$", text, re.MULTILINE | re.DOTALL)]


def commands(text):
    text = re.sub(r"\\\n\s*", "", text)
    lines = [re.sub(r"(^|\s+)#.*", "", line).strip() for line in text.splitlines()]
    return [re.sub(r"^sudo ", "", line) for line in lines if line]


def reason(command):
    return next((why for pattern, why in ELSEWHERE.items() if re.search(pattern, command)), None)


# The scripts that the documents show, by the file that shows them. Each of them can run here; one that cannot would be
# named, with the reason.
SCRIPTS = [(d, text) for d in DOCUMENTS for language, text in fences(d) if language == "bash"]
SCRIPTS += [(page, text) for page in PAGES for text in examples(page) if text.startswith("#!")]
# What the text promises. Of the others any status will do: they look at this host.
PROMISED = {"web-server": ("OK", "nginx is running"), "root-password": ("OK", "The password is locked")}
# What the scripts ask; a script that uses none of these is not known to say nothing when it cannot look.
ASKED = ("df", "passwd", "systemctl", "ssi_unit_active")


def name_of(text):
    return re.search(r"^# name: (.*)$", text, re.MULTILINE)[1].lower().replace(" ", "-")


class Reader:
    """Somebody who types what is written, in a folder with the files that the text speaks of."""

    def __init__(self, stack):
        self.host, self.account = stack, stack.account
        self.host.run("mkdir -p /root/reader && cp /var/lib/ssi-server/tls/ca.pem /root/reader")

    def script(self, text):
        self.host.write(f"/root/reader/{name_of(text)}.bash", text)
        self.host.run(["ssictl", "validate", "-"], input=text)

    def type(self, command):
        if re.search(r"ssictl register ", command):
            self.host.run("ssictl unregister")
            command = command.replace("TOKEN", self.account.new_server()["claim_token"])
        command = command.replace("https://backend.example.org:8443", "https://localhost:8443")
        r = self.host.run(f"cd /root/reader && {command}", input="a password of mine\n", check=False, timeout=120)
        assert r.returncode in ((0, 3) if ATTENTION.search(command) else (0,)), f"{command}\n{r.stdout}{r.stderr}"


@pytest.fixture(scope="module")
def host(boot_for_module):
    return register(boot_for_module("--agent", "--server"))


@pytest.fixture
def reader(host):
    yield Reader(host)
    host.run("cd /usr/local/bin/ssi && for name in *; do [ ! -e $name ] || ssictl remove $name; done; rm -r /root/reader")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_of_documents(reader, document):
    blocks = fences(document)
    for language, text in blocks:
        assert language in LANGUAGES, f"a block without a language: {text}"
        if language == "bash":
            reader.script(text)
        if language == "json":
            json.loads(text)
        for command in commands(text) if language == "sh" else []:
            if not reason(command):
                reader.type(command)


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_pages(reader, page):
    for text in examples(page):
        if text.startswith("#!"):
            reader.script(text)
            continue
        for command in commands(text):
            if re.match(r"ssictl |journalctl ", command) and not reason(command):
                reader.type(command)


def tried(host, path):
    """(status, message, run) of one run in the script's sandbox."""
    o = json.loads(host.run(["ssictl", "--json", "test", path], check=False).stdout)
    return o["status"], o["message"], o["run"]


@pytest.fixture
def nginx(host):
    """A web server as systemd sees it."""
    host.write("/etc/systemd/system/nginx.service", "[Service]\nExecStart=sleep infinity\n")
    host.run("systemctl daemon-reload && systemctl start nginx")
    yield
    host.run("systemctl stop nginx && rm /etc/systemd/system/nginx.service && systemctl daemon-reload")


@pytest.mark.parametrize("where, text", SCRIPTS, ids=lambda s: s.split("\n")[0] if s.startswith("#!") else s)
def test_scripts_run_in_the_sandbox_they_get(host, reader, nginx, where, text):
    assert text.startswith("#!/bin/bash\n"), f"{where}: no script"
    slug = name_of(text)
    path = host.write(f"/root/reader/{slug}.bash", text)
    assert host.run(["ssictl", "validate", path]).stdout == f"{path}: is a valid service-script\n"
    host.run(["ssictl", "add", path])
    assert host.run(["ssictl", "run", slug], check=False).returncode in (0, 3)
    o = json.loads(host.run(["ssictl", "--json", "show", slug]).stdout)
    assert o["LastRunResult"] == "success" and o["Status"] in ("OK", "UPDATE", "WARNING", "FAILURE"), o
    assert slug not in PROMISED or (o["Status"], o["Message"]) == PROMISED[slug]
    # A check that cannot look says nothing.
    asked = [command for command in ASKED if re.search(rf"\b{command} ", text)]
    assert asked, f"{where}: what does it look at?"
    for command in ("systemctl",) if asked == ["ssi_unit_active"] else asked:
        broken = re.sub(r"\n\n(?!#)", f"\n\n{command}() {{ return 1; }}\n", text, count=1)
        assert broken != text
        status, message, run = tried(host, host.write("/root/reader/broken.bash", broken))
        assert (status, run.get("error")) in ((None, "exit-code"), (None, "no-status-line")), (command, status, message, run)


def test_a_web_server_that_is_down(host, reader, nginx):
    """The first example of docs/service-scripts.md, to the letter."""
    path = host.write("/root/reader/web-server.bash", next(text for _, text in SCRIPTS if name_of(text) == "web-server"))
    assert tried(host, path)[:2] == ("OK", "nginx is running")
    host.run("systemctl stop nginx")
    assert tried(host, path)[:2] == ("FAILURE", "nginx is down")
    # As a user whom the bus does not know.
    host.run(f"sed -i /ssi-script/d {path}")
    status, _, run = tried(host, path)
    assert (status, run["error"], run["exit_status"]) == (None, "exit-code", 3)
    assert "user: ssi-script" in run["output"][0]


def test_what_is_not_run_is_there():
    known = [c for d in DOCUMENTS for language, text in fences(d) if language == "sh" for c in commands(text)]
    known += [c for page in PAGES for text in examples(page) for c in commands(text)]
    for pattern in ELSEWHERE:
        assert any(re.search(pattern, c) for c in known), f"{pattern}: no document says this any more"


def test_commands_within_sentences(host):
    """Verbs of ssictl, and programs of the tree."""
    for document in DOCUMENTS:
        text = re.sub(r"^```.*?^```$", "", (TOP / document).read_text(), flags=re.MULTILINE | re.DOTALL)
        spans = re.findall(r"`([^`\n]+)`", text)
        for verb in {m[1] for s in spans if (m := re.match(r"ssictl ((?:server )?[a-z][a-z-]*)\b", s))}:
            r = host.run(f"ssictl {verb} --help")
            assert "ssictl [OPTION…]" in r.stdout, (document, verb)
        for path in {s.split()[0] for s in spans if re.match(r"(tools|tests|packaging|src|scripts|docs|web|\.ci)/[\w.-]", s)}:
            assert list(TOP.glob(path)), (document, path)


def test_links():
    for document in [*DOCUMENTS, "SECURITY.md", *(str(p.relative_to(TOP)) for p in TOP.glob("docs/adr/*.md"))]:
        text = (TOP / document).read_text()
        headings = {re.sub(r"[^\w -]", "", h.lower()).strip().replace(" ", "-")
                    for h in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
        for target in re.findall(r"\]\(([^)]+)\)", text):
            if target.startswith("#"):
                assert target[1:] in headings, (document, target)
            elif "://" not in target:
                assert ((TOP / document).parent / target.split("#")[0]).exists(), (document, target)


def test_decisions_have_their_parts():
    index = (TOP / "docs/adr/README.md").read_text()
    numbers = []
    for path in sorted(TOP.glob("docs/adr/[0-9]*.md")):
        text = path.read_text()
        number = int(path.name[:4])
        assert text.split("\n")[1].startswith(f"# {number}. "), path
        assert re.findall(r"^## (.*)$", text, re.MULTILINE)[:3] == ["Context", "Decision", "Consequences"], path
        assert f"| [{number}]({path.name}) |" in index, path
        numbers.append(number)
    assert len(set(numbers)) == len(numbers)


def test_the_api_reference_is_current():
    r = subprocess.run([TOP / "tools/api-reference", "--check"], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


def test_the_tests_that_security_names_are_there():
    text = (TOP / "docs/security.md").read_text()
    named = set(re.findall(r"`(tests?[-_/][\w/-]+)", text))
    assert len(named) > 12
    for name in named:
        places = [TOP / name] if "/" in name else [*TOP.glob(f"tests/system/{name}.py"), *TOP.glob(f"tests/unit/{name}.*")]
        assert any(p.exists() for p in places), name


def test_the_manual_has_every_setting():
    code = (TOP / "src/ssi-serverd/config/item.c").read_text()
    code = re.sub(r"#define.*?[^\\]\n", "", code, flags=re.DOTALL)
    table = re.findall(r'\bITEM\("(SSI_\w+)".*?(\.reloadable = true)?(?:, \.shared = true)?\),\n', code, re.DOTALL)
    table += [(f"SSI_QUOTA_{name}", True) for name in re.findall(r"\bQUOTA\((\w+),", code)]
    page = (TOP / "man/ssi-serverd.8").read_text().split(".SH ENVIRONMENT")[1].split(".SH ")[0]
    entries = re.findall(r"^\.(?:B|BR) (SSI_.*)$", page, re.MULTILINE)
    documented = {name: "*" in entry for entry in entries for name in re.findall(r"SSI_\w+", entry)}
    # Where the migrations are is the build's business.
    assert documented == {name: bool(reloadable) for name, reloadable in table if name != "SSI_MIGRATIONS_DIR"}
