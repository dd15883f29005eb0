# SPDX-License-Identifier: LGPL-2.1-or-later
"""ssictl on a terminal: widths, colors, passwords."""
import re
import time
import unicodedata

import pytest

from hosts import prints, script, wait_until

RULES = "/etc/polkit-1/rules.d/50-terminal.rules"
COLOR = re.compile(r"\x1b\[[0-9;]*m")


def width(text):
    return sum(0 if unicodedata.combining(ch) else 2 if unicodedata.east_asian_width(ch) in "WF" else 1 for ch in text)


def on_terminal(host, args, **kwargs):
    with host.terminal(["ssictl", *args], **kwargs) as t:
        t.code = t.finish()
        t.lines = COLOR.sub("", t.text).splitlines()
        return t


@pytest.fixture(scope="module")
def services(agent):
    """Services with everything that makes tables crooked."""
    long_name = "A Name That Is As Long As Names Can Be And Does Not Fit Into Any"
    scripts = [
        script("Plain", prints("OK", "fine")),
        script("Wide", prints("WARNING", "日本語の長いメッセージ、端末の幅には収まりません、まったく収まりません")),
        script("Accents", prints("FAILURE", "größere Änderung über mehrere Wörter, e\u0301 as two characters " * 3)),
        script(long_name, prints("UPDATE", "a message " * 30)),
        script("Broken", f'[ -e /run/broken ] && exit 1; {prints("OK", "from before " * 10)}'),
    ]
    agent.run(["ssictl", "add", *(agent.write(f"/tmp/terminal-{i}.bash", text) for i, text in enumerate(scripts))])
    slugs = ["plain", "wide", "accents", long_name.lower().replace(" ", "-"), "broken"]
    agent.run(["ssictl", "run", *slugs], check=False)
    agent.run("touch /run/broken; ssictl run broken; rm /run/broken", check=False)
    yield slugs
    agent.run(["ssictl", "remove", *slugs])


@pytest.mark.parametrize("columns", [80, 60, 132])
def test_the_list_fits_and_is_aligned(agent, services, columns):
    t = on_terminal(agent, ["list"], columns=columns)
    assert t.code == 0
    assert len(t.lines) >= 6
    assert max(map(width, t.lines)) <= columns, t.text
    heading = t.lines[0]
    assert heading.split() == ["NAME", "STATUS", "SINCE", "NEXT", "MESSAGE"]
    for line in t.lines[1:]:
        columns_of = [heading.index(word) for word in ("STATUS", "SINCE", "NEXT", "MESSAGE")]
        for at in columns_of:
            # Names and times are ASCII, but for the ellipsis: characters are columns up to here.
            assert line[at - 1] == " " and line[at] != " ", (at, line)
    assert any("…" in line for line in t.lines)


def test_status_fits(agent, services):
    for args in (["status"], ["status", *services], ["status", "-n", "3", "accents"], []):
        t = on_terminal(agent, args)
        assert t.code == 3
        assert max(map(width, t.lines)) <= 80, t.text
    # All of a message is shown, on several lines.
    text = " ".join(" ".join(on_terminal(agent, ["status", "-n", "0", "accents"]).lines).split())
    assert text.count("größere Änderung") == 3


def test_status_is_one_screen(agent, services):
    lines = on_terminal(agent, ["status"]).lines
    assert len(lines) <= 24
    out = "\n".join(lines)
    for fact in (r"\d+ services: 1 FAILURE, 1 WARNING, ", r"1 execution error", r"Next run: ", r"Backend: ",
                 r"accents +FAILURE", r"wide +WARNING", r"broken +OK ! .*\[exit-code\]"):
        assert re.search(fact, out), (fact, out)
    assert not re.search(r"^plain", out, re.MULTILINE)


def test_a_pipe_gets_everything_and_no_color(agent, services):
    for args in (["list"], ["status"], ["status", *services]):
        out = agent.run(["ssictl", *args], check=False).stdout
        assert "\x1b" not in out and "…" not in out
        assert services[3] in out or args == ["status"]
    assert ("a message " * 30).strip() in agent.run(["ssictl", "list"]).stdout


def test_without_a_utf8_locale(agent, services):
    out = agent.run("LC_ALL=C ssictl list").stdout
    assert "größere Änderung" in out


def test_colors(agent, services):
    assert COLOR.search(on_terminal(agent, ["list"]).text)
    assert not COLOR.search(on_terminal(agent, ["--json", "list"]).text)
    with agent.terminal("NO_COLOR=1 ssictl list") as t:
        t.finish()
        assert "accents" in t.text and not COLOR.search(t.text)
    with agent.terminal("NO_COLOR= ssictl list") as t:
        t.finish()
        assert COLOR.search(t.text)


def test_next_says_running(agent, add):
    add(agent, script("Long Run", f'sleep 4; {prints("OK", "x")}', schedule="*:*:0/6"))
    wait_until(lambda: re.search(r"^long-run .* running ", agent.run(["ssictl", "list"]).stdout, re.MULTILINE), timeout=20)
    wait_until(lambda: re.search(r"^long-run .* (in \ds|now) ", agent.run(["ssictl", "list"]).stdout, re.MULTILINE), timeout=20)
    agent.run(["ssictl", "disable", "long-run"])
    assert re.search(r"^long-run .* disabled ", agent.run(["ssictl", "list"]).stdout, re.MULTILINE)


# ---- passwords -------------------------------------------------------------------------------------------------------

@pytest.fixture
def carol(agent):
    """A user who may manage services with a password."""
    user = agent.add_user("carol")
    agent.run("chpasswd", input="carol:correct horse\n")
    agent.write("/tmp/of-carol.bash", script("Of Carol", prints("OK", "hello")))
    agent.write(RULES, """
polkit.addRule(function(action, subject) {
        if (action.id.indexOf("org.ssi.") == 0 && subject.user == "carol")
                return polkit.Result.AUTH_SELF;
});
""")
    time.sleep(1)  # polkit reads its rules again
    yield user
    agent.run(["rm", "-f", RULES])
    agent.run(["ssictl", "remove", "of-carol"], check=False)


def agents_left(host):
    return host.run("pgrep -x pkttyagent", check=False).stdout.split()


def type_password(t, password):
    """What is typed before the prompt has switched the echo off is lost."""
    t.expect("Password:")
    wait_until(lambda: not t.echoes())
    time.sleep(1)
    t.send(password + "\n")


IN_SESSION = ["systemd-run", "-q", "--pty", "--wait", "--collect", "-p", "User=carol", "-p", "PAMName=login"]


@pytest.mark.parametrize("wrapper", [IN_SESSION, ["runuser", "-u", "carol", "--"]], ids=["session", "no-session"])
def test_a_password_is_asked_for_on_a_terminal(agent, carol, wrapper):
    with agent.terminal([*wrapper, "ssictl", "add", "/tmp/of-carol.bash"]) as t:
        type_password(t, "correct horse")
        assert t.finish() == 0
        assert "Added of-carol" in t.text and "correct horse" not in t.text
    assert agents_left(agent) == []


def test_a_wrong_password(agent, carol):
    with agent.terminal(["ssictl", "add", "/tmp/of-carol.bash"], user=carol) as t:
        type_password(t, "wrong")
        assert t.finish() == 5
        assert "Added" not in t.text
        assert t.echoes()
    assert agents_left(agent) == []


def test_nothing_is_asked(agent, carol):
    with agent.terminal(["ssictl", "--no-ask-password", "add", "/tmp/of-carol.bash"], user=carol) as t:
        assert t.finish() == 5
        assert "Password" not in t.text
    # Not on a terminal; and not for what everyone may.
    assert agent.run(["ssictl", "add", "/tmp/of-carol.bash"], user=carol, check=False).returncode == 5
    with agent.terminal(["ssictl", "status"], user=carol) as t:
        assert t.finish() in (0, 3)
        assert "Password" not in t.text


def test_a_client_that_is_killed_leaves_no_agent(agent, carol):
    with agent.terminal(["ssictl", "add", "/tmp/of-carol.bash"], user=carol) as t:
        t.expect("Password:")
        agent.run("pkill -KILL -x ssictl")
        t.finish()
        wait_until(lambda: agents_left(agent) == [])
