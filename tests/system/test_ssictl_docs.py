# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual pages and the completions say what the programs do."""
import re
import xml.etree.ElementTree as ET

import pytest

from hosts import TOP, prints, script

PAGES = {1: ["ssictl"], 5: ["org.ssi.Agent1", "org.ssi.Server1", "org.ssi.ServerCA1", "org.ssi.Uplink1"], 7: ["ssi-service-script"],
         8: ["ssid", "ssi-uplinkd", "ssi-serverd", "ssi-server-ca"]}
ALL = [f"/usr/share/man/man{section}/{name}.{section}" for section, names in PAGES.items() for name in names]
BASH = "/usr/share/bash-completion/completions/ssictl"
ZSH = "/usr/share/zsh/site-functions/_ssictl"


def page(host, path):
    """The text, without markup."""
    return re.sub(r"\\f[BIR]|\\&", "", host.run(["cat", path]).stdout).replace("\\-", "-")


@pytest.fixture(scope="module")
def helps(agent):
    """The help of each verb, and of each alias."""
    texts = {}
    for line in agent.run(["ssictl", "--help"]).stdout.split("Commands:\n")[1].split("\n\n")[0].splitlines():
        texts[line.split()[0]] = None
    out = agent.run(f"for v in {' '.join(texts)}; do ssictl $v --help; printf '\\f'; done").stdout
    for verb, text in zip(list(texts), out.split("\f")):
        texts[verb] = text
        for alias in re.findall(r'^"(\S+)" is the same', text, re.MULTILINE):
            texts[alias] = text
    return texts


def options(helps):
    return set(re.findall(r"--[a-z-]+", "".join(helps.values())))


@pytest.mark.parametrize("path", ALL)
def test_pages_are_clean(agent, path):
    r = agent.run(["groff", "-man", "-ww", "-z", path])
    assert r.stdout + r.stderr == ""
    assert not re.search(r"@[A-Za-z_]+@", page(agent, path)), "a folder that was not filled in"


def test_pages_refer_to_pages_that_are_there(agent):
    ours = {f"{n}({s})" for s, names in PAGES.items() for n in names}
    for path in ALL:
        for name, section in re.findall(r"^\.BR (\S+) \((\d)\)", page(agent, path), re.MULTILINE):
            if name.startswith(("ssi", "org.ssi")):
                assert f"{name}({section})" in ours, (path, name)


@pytest.mark.parametrize("name", ["org.ssi.Agent1", "org.ssi.Server1", "org.ssi.ServerCA1", "org.ssi.Uplink1"])
def test_the_page_of_an_api_has_every_member(agent, name):
    text = page(agent, f"/usr/share/man/man5/{name}.5")
    files = agent.run(f"ls /usr/share/dbus-1/interfaces/{name}.xml /usr/share/dbus-1/interfaces/{name}.*.xml 2>/dev/null || true").stdout.split()
    assert files
    for path in files:
        for interface in ET.fromstring(agent.run(["cat", path]).stdout).iter("interface"):
            assert interface.get("name").upper() in text
            for member in interface:
                if member.tag in ("method", "signal", "property"):
                    assert re.search(rf"^(.* )?{member.get('name')}\b", text, re.MULTILINE), member.get("name")
                    for a in member.findall("arg"):
                        assert f"{a.get('type')} {a.get('name')}" in text


def test_the_page_of_ssictl_is_complete(agent, helps):
    text = page(agent, "/usr/share/man/man1/ssictl.1")
    for verb in helps:
        assert re.search(rf'^\.(BI|B) "?{verb}\b', text, re.MULTILINE), verb
    for option in options(helps):
        assert option in text, option


@pytest.mark.parametrize("program", ["ssid", "ssi-uplinkd", "ssi-serverd", "ssi-server-ca"])
def test_the_page_of_a_daemon_has_its_options(agent, program):
    text = page(agent, f"/usr/share/man/man8/{program}.8")
    for option in re.findall(r"--[a-z-]+", agent.run([f"/usr/lib/ssi/{program}", "--help"]).stdout):
        assert option in text, option


@pytest.mark.parametrize("path", [BASH, ZSH])
def test_completions_know_every_verb_and_option(agent, helps, path):
    text = agent.run(["cat", path]).stdout
    for word in [*helps, *sorted(options(helps))]:
        assert re.search(rf"(?<![a-z-]){re.escape(word)}(?![a-z-])", text), word


def complete(host, line):
    """What bash offers at the end of the line."""
    words = re.findall(r"[^ =]+|=", line) + ([""] if line.endswith((" ", "=")) else [])
    quoted = " ".join("'" + w + "'" for w in words)
    r = host.run(f". {BASH}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _ssictl; "
                 'printf "%s\\n" "${COMPREPLY[@]}"')
    assert r.stderr == ""
    return r.stdout.split()


def test_bash_completes(agent, helps, add):
    add(agent, script("Completed One", prints("OK", "x")))
    add(agent, script("Completed Two", prints("OK", "x")), "2.bash")
    assert complete(agent, "ssictl en") == ["enable"]
    assert set(complete(agent, "ssictl ")) == set(helps)
    assert complete(agent, "ssictl status completed-") == ["completed-one", "completed-two"]
    assert complete(agent, "ssictl status completed-one completed-t") == ["completed-two"]
    assert complete(agent, "ssictl --json log comp") == ["completed-one", "completed-two"]
    assert complete(agent, "ssictl log completed-one comp") == []
    assert complete(agent, "ssictl log -n 5 completed-o") == ["completed-one"]
    assert complete(agent, "ssictl log --lines=5 completed-o") == ["completed-one"]
    assert complete(agent, "ssictl -H elsewhere status comp") == []
    assert complete(agent, "ssictl server audit --") == ["--help", "--version", "--host", "--machine", "--no-ask-password", "--json", "--lines",
                                                          "--since", "--until", "--account", "--event"]
    assert complete(agent, "ssictl server audit --since 1d --ev") == ["--event"]
    assert complete(agent, "ssictl server invite --expires=1d --us") == []
    assert complete(agent, "ssictl server invite someone@example.org --ex") == ["--expires"]
    assert complete(agent, "ssictl server remove-user someone --y") == ["--yes"]
    assert complete(agent, "ssictl server users --yes") == []
    assert complete(agent, "ssictl server setup --sign-up=o") == ["open"]
    assert complete(agent, "ssictl server setup --sign-up=") == ["closed", "invite", "open"]
    assert complete(agent, "ssictl server quota someone ser") == ["servers=", "services="]
    assert complete(agent, "ssictl server quota some") == []
    assert complete(agent, "ssictl server quota someone mails=") == ["unlimited", "default"]
    assert complete(agent, "ssictl server quota someone mails=5 tok") == ["tokens="]
    assert complete(agent, "ssictl server audit --event=log") == ["login", "login-code", "logout"]
    assert complete(agent, "ssictl add --re") == ["--replace"]
    assert complete(agent, "ssictl list --re") == []
    assert "/etc/hostname" in complete(agent, "ssictl add /etc/hostn")
    assert complete(agent, "ssictl show completed-one -p Stat") == ["Status", "StatusTimestampUSec"]
    assert complete(agent, "ssictl show --property=Vers") == ["Version"]


@pytest.mark.parametrize("path", [BASH, ZSH])
def test_completions_know_every_event_and_quota(agent, path):
    text = agent.run(["cat", path]).stdout
    with open(TOP / "docs/administration.md", encoding="utf-8") as f:
        table = re.search(r"^\| events \| when \|.*?\n\n", f.read(), re.M | re.S)[0]
    events = {event.split(".")[0] for row in table.splitlines()[2:-1] for event in re.findall(r"`([a-z-]+(?:\.[a-z-]+)*)`", row.split("|")[1])}
    quotas = set(re.findall(r'\[QUOTA_[A-Z]+\] = "([a-z]+)"', (TOP / "src/ssi-serverd/config/quota.c").read_text())) - {"recipient"}
    assert len(events) > 20 and len(quotas) == 10
    for word in events | quotas:
        assert re.search(rf"(?<![a-z-]){re.escape(word)}(?![a-z-])", text), word


def test_completing_asks_once(agent, add):
    """A key shall not wait for more than one answer of the agent."""
    add(agent, script("Quick", prints("OK", "x")))
    out = agent.run(f'. {BASH}; ssictl() {{ echo called >>/tmp/called; command ssictl "$@"; }}; COMP_WORDS=(ssictl status q); '
                    'COMP_CWORD=2; _ssictl; cat /tmp/called; echo "${COMPREPLY[@]}"').stdout
    assert out.split() == ["called", "quick"]
