# SPDX-License-Identifier: LGPL-2.1-or-later
"""tools/apt-repository: what it writes, and what APT on Debian 12 and 13 makes of it. Every key is made for the test."""
import email.utils
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hosts import TOP, Host, wait_until

FOLDER = Path(os.environ.get("SSI_PACKAGES", "/nonexistent"))
KEYRING = "service-status-indicator-archive-keyring"
NAMES = ["ssi-agent", "ssi-server", "ssictl"]
PORT = 8000
needs_packages = pytest.mark.skipif(not (FOLDER / "commit").exists(), reason="SSI_PACKAGES names no folder of tests/packages/prepare")


class Keys:
    """A GnuPG home. Its path is short: that of its agent's socket is limited."""

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="ssi-gpg.", dir="/run")
        self.env = {**os.environ, "GNUPGHOME": self.home}
        self.env.pop("SSI_SIGN_KEY", None)

    def gpg(self, *args):
        return subprocess.run(["gpg", "--batch", "--passphrase", "", "--pinentry-mode", "loopback", *args], check=True, env=self.env,
                              capture_output=True, text=True).stdout

    def make(self, name):
        self.gpg("--quick-generate-key", f"{name} <{name}@example.org>", "ed25519", "sign", "never")
        return self

    def fingerprints(self):
        return re.findall(r"^fpr:+(\w+):", self.gpg("--with-colons", "--list-secret-keys"), re.MULTILINE)

    def remove(self):
        subprocess.run(["gpgconf", "--kill", "all"], env=self.env, check=False)
        shutil.rmtree(self.home)


@pytest.fixture(scope="module")
def keys():
    made = []

    def make(*names):
        made.append(Keys())
        for name in names:
            made[-1].make(name)
        return made[-1]

    yield make
    for k in made:
        k.remove()


@pytest.fixture(scope="module")
def ours(keys):
    return keys("archive")


def tool(keys, *args, check=True, **env):
    r = subprocess.run([TOP / "tools/apt-repository", *args], env={**keys.env, **env}, capture_output=True, text=True)
    assert not check or r.returncode == 0, r.stderr
    return r


def small(folder, version, name="small", arch="all", text=""):
    """A package with nothing but a description."""
    root = folder / f"{name}-{version}-{text}"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\n"
                                         f"Maintainer: Nobody <nobody@example.org>\nDescription: nothing {text}\n")
    path = folder / f"{root.name}.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", root, path], check=True, capture_output=True)
    return path


def release(repository, suite):
    """The fields of InRelease, whose signature is verified with the key that the repository has."""
    r = subprocess.run(["gpgv", "--keyring", repository / f"{KEYRING}.gpg", "--output", "-", repository / f"dists/{suite}/InRelease"],
                       check=True, capture_output=True, text=True)
    return dict(re.findall(r"^([A-Z][\w-]+): ?(.*)$", r.stdout, re.MULTILINE))


def packages(repository, suite, arch="amd64"):
    text = (repository / f"dists/{suite}/main/binary-{arch}/Packages").read_text()
    return sorted(re.findall(r"^Package: (.*)\n(?:.*\n)*?Version: (.*)$", text, re.MULTILINE))


# ---- the folder ----------------------------------------------------------------------------------------------------------


def test_suites_follow_versions_and_old_packages_stay(ours, tmp_path):
    repository = tmp_path / "repository"
    tool(ours, repository, small(tmp_path, "1+deb12", arch="amd64"), small(tmp_path, "1+deb13", arch="arm64"), small(tmp_path, "2+deb13"),
         "--url=https://apt.example.org/ssi")
    assert packages(repository, "bookworm") == [("small", "1+deb12")]
    assert packages(repository, "trixie", "arm64") == [("small", "1+deb13"), ("small", "2+deb13")]
    assert release(repository, "bookworm")["Architectures"] == "amd64" and release(repository, "trixie")["Architectures"] == "arm64"
    sources = (repository / "service-status-indicator-trixie.sources").read_text()
    assert "URIs: https://apt.example.org/ssi\nSuites: trixie\n" in sources

    first = set((repository / "dists/bookworm").glob("main/*/by-hash/SHA256/*"))
    tool(ours, repository, small(tmp_path, "2+deb12", arch="amd64"))
    assert packages(repository, "bookworm") == [("small", "1+deb12"), ("small", "2+deb12")]
    # A client that has read the last signature still finds what it names.
    assert first < set((repository / "dists/bookworm").glob("main/*/by-hash/SHA256/*"))
    assert (repository / "service-status-indicator-trixie.sources").read_text() == sources
    assert sorted(p.name for p in repository.iterdir()) == sorted(
        ["dists", "pool", f"{KEYRING}.asc", f"{KEYRING}.gpg", *(f"service-status-indicator-{s}.sources" for s in ("bookworm", "trixie"))])


def test_the_signature_says_how_long_it_counts(ours, tmp_path):
    repository = tmp_path / "repository"
    tool(ours, repository, small(tmp_path, "1+deb12"), "--valid-days=7")
    fields = release(repository, "bookworm")
    begin, end = (email.utils.parsedate_to_datetime(fields[f]) for f in ("Date", "Valid-Until"))
    assert (end - begin).total_seconds() == 7 * 24 * 3600
    assert (fields["Origin"], fields["Codename"], fields["Components"], fields["Acquire-By-Hash"]) == (
        "Service Status Indicator", "bookworm", "main", "yes")
    # Signed again, without a package.
    tool(ours, repository)
    fields = release(repository, "bookworm")
    begin, end = (email.utils.parsedate_to_datetime(fields[f]) for f in ("Date", "Valid-Until"))
    assert (end - begin).days == 90
    subprocess.run(["gpgv", "--keyring", repository / f"{KEYRING}.gpg", repository / "dists/bookworm/Release.gpg",
                    repository / "dists/bookworm/Release"], check=True, capture_output=True)


def test_the_readme_names_what_is_there(ours, tmp_path):
    repository = tmp_path / "repository"
    tool(ours, repository, small(tmp_path, "1+deb12"))
    text = (TOP / "README.md").read_text()
    assert f"```text\n{(repository / 'service-status-indicator-bookworm.sources').read_text()}```\n" in text
    names = re.findall(r"https://example\.com/ssi/(\S+)", text)
    assert names and all((repository / name).is_file() for name in names), names


def test_refusals_change_nothing(ours, keys, tmp_path):
    repository = tmp_path / "repository"
    one = small(tmp_path, "1+deb12")
    tool(ours, repository, one)

    def tree():
        return {p.relative_to(repository): p.read_bytes() for p in repository.rglob("*") if p.is_file()}

    before = tree()
    none, two = keys(), keys("one", "two")
    text = tmp_path / "text.deb"
    text.write_text("no package")
    good = small(tmp_path, "3+deb12")
    for k, args, words in ((ours, [good, small(tmp_path, "1+deb12", text="else")], "other content"),
                           (ours, [good, small(tmp_path, "1.0")], "names no suite"),
                           (ours, [good, text], "is not a Debian package"),
                           (ours, [good, tmp_path / "missing.deb"], "there is no file"),
                           (ours, [good, "--suite=../x"], "not the name of a suite"),
                           (ours, [good, "--valid-days=0"], "number of days"),
                           (ours, [good, "--url=ftp://example.org"], "not a URL"),
                           (none, [good], "no secret key"),
                           (two, [good], "SSI_SIGN_KEY is to name one")):
        r = tool(k, repository, *args, check=False)
        assert r.returncode == 1 and words in r.stderr and r.stderr.startswith("apt-repository: "), (args, r.stderr)
        assert tree() == before, args
    r = tool(ours, tmp_path / "new", check=False)
    assert r.returncode == 1 and "no package to begin one with" in r.stderr and not (tmp_path / "new").exists()

    tool(two, repository, good, SSI_SIGN_KEY=two.fingerprints()[1])
    assert two.fingerprints()[1] in subprocess.run(["gpg", "--show-keys", repository / f"{KEYRING}.asc"], check=True, capture_output=True,
                                                   env=two.env, text=True).stdout


# ---- what APT makes of it ------------------------------------------------------------------------------------------------


class Client:
    """A bare Debian that has the repository's key and .sources file, and reaches the folder by HTTP on its own loopback: the server
    is outside, in the host's network."""

    def __init__(self, name, repository):
        self.repository, self.log = repository, tempfile.TemporaryFile("w+")
        self.host = Host(name, f"--root={FOLDER / 'root'}").up()
        self.host.run("ip link set lo up")
        self.suite = self.host.run(". /etc/os-release && echo $VERSION_CODENAME").stdout.strip()
        self.server = subprocess.Popen(["nsenter", f"--target={self.host.leader}", "--net", sys.executable, "-u", "-m", "http.server",
                                        f"--directory={repository}", "--bind=127.0.0.1", str(PORT)], stdout=self.log, stderr=self.log)

    def trust(self):
        """What README.md does with curl, which a bare Debian does not have."""
        wait_until(lambda: self.host.run(f"exec 3<>/dev/tcp/127.0.0.1/{PORT}", check=False).returncode == 0)
        self.host.run("mkdir -p /etc/apt/keyrings")
        for source, target in ((f"{KEYRING}.asc", "keyrings"), (f"service-status-indicator-{self.suite}.sources", "sources.list.d")):
            self.host.write(f"/etc/apt/{target}/{source}", (self.repository / source).read_text())

    def update(self):
        """Reads this repository alone: what Debian's has said is kept, and there is no network. Gives the process."""
        return self.host.run("apt-get -q -o Dir::Etc::SourceList=/dev/null -o APT::Get::List-Cleanup=false update", check=False, timeout=120)

    def apt(self, command):
        return self.host.run(f"DEBIAN_FRONTEND=noninteractive apt-get -y -q {command}", timeout=900, check=False)

    def requests(self):
        self.log.seek(0)
        return re.findall(r'"GET (\S+)', self.log.read())

    def versions(self):
        return self.host.run("dpkg-query -W -f '${Version} ' " + " ".join(NAMES)).stdout.split()

    def candidate(self, package="ssictl"):
        m = re.search(r"Candidate: (.*)", self.host.run(["apt-cache", "policy", package]).stdout)
        return m and m[1]

    def down(self):
        self.server.terminate()
        self.server.wait()
        self.host.down()
        self.log.close()


@pytest.fixture
def client(tmp_path):
    up = []

    def make(name):
        up.append(Client(name, tmp_path / "repository"))
        (tmp_path / "repository").mkdir()
        return up[-1]

    yield make
    for c in up:
        c.down()


def files(version):
    return sorted((FOLDER / version).glob("*.deb"))


@needs_packages
def test_installed_and_upgraded_by_apt(client, ours):
    c = client("apt-good")
    tool(ours, f"--suite={c.suite}", f"--url=http://127.0.0.1:{PORT}", c.repository, *files("old"))
    c.trust()
    r = c.update()
    assert r.returncode == 0 and "W:" not in r.stderr, r.stdout + r.stderr
    r = c.apt("install " + " ".join(NAMES))
    assert r.returncode == 0, r.stdout + r.stderr
    assert c.versions() == ["0.0.9"] * 3
    assert any("/by-hash/SHA256/" in path for path in c.requests())

    tool(ours, c.repository, *files("new"))
    r = c.update()
    assert r.returncode == 0 and "W:" not in r.stderr, r.stdout + r.stderr
    r = c.apt("upgrade")
    assert r.returncode == 0, r.stdout + r.stderr
    new = {"bookworm": "0.1.0+deb12", "trixie": "0.1.0+deb13"}[c.suite]
    assert c.versions() == [new] * 3
    assert c.host.run("systemctl is-active ssid ssi-uplinkd ssi-serverd.socket").stdout.split() == ["active"] * 3
    # The version before can still be had.
    table = c.host.run("apt-cache madison ssictl").stdout
    assert re.findall(r"ssictl \|\s+(\S+) \|", table) == [new, "0.0.9"], table


@needs_packages
def test_a_changed_repository_is_refused(client, ours, keys):
    c = client("apt-bad")
    args = [f"--suite={c.suite}", f"--url=http://127.0.0.1:{PORT}", c.repository, *files("old")]
    tool(ours, *args)
    c.trust()
    good = c.repository.with_name("good")
    shutil.copytree(c.repository, good)

    def restore():
        for name in ("dists", "pool"):
            shutil.rmtree(c.repository / name)
            shutil.copytree(good / name, c.repository / name)
        c.host.run("rm -rf /var/lib/apt/lists/127.0.0.1* /var/lib/apt/lists/partial/*")

    # An index that is not the one that was signed. Each of its forms and names.
    for path in (c.repository / f"dists/{c.suite}/main").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes() + b"\n")
    r = c.update()
    assert r.returncode == 100 and re.search(r"Hash Sum mismatch|unexpected size", r.stderr), r.stderr
    assert c.candidate() is None

    # Signed, but by somebody else's key, to a host that does not know it.
    restore()
    other = keys("other")
    path = c.repository / f"dists/{c.suite}"
    for target, how in (("InRelease", ["--clearsign"]), ("Release.gpg", ["--armor", "--detach-sign"])):
        other.gpg("--yes", "--output", path / target, *how, path / "Release")
    r = c.update()
    assert r.returncode == 100 and "is not signed" in r.stderr, r.stderr
    assert c.candidate() is None

    # Not signed at all.
    restore()
    for name in ("InRelease", "Release.gpg"):
        (path / name).unlink()
    r = c.update()
    assert r.returncode == 100 and "is not signed" in r.stderr, r.stderr
    assert c.candidate() is None

    # A signature that has run out.
    restore()
    text = (path / "Release").read_text()
    (path / "Release").write_text(re.sub(r"(?m)^Valid-Until:.*$", "Valid-Until: Wed, 01 Jan 2025 00:00:00 +0000", text))
    ours.gpg("--yes", "--output", path / "InRelease", "--clearsign", path / "Release")
    r = c.update()
    assert r.returncode == 100 and "expired" in r.stderr, r.stderr
    assert c.candidate() is None

    # As it was, it is taken; a package that is not the one that the index names is not.
    restore()
    r = c.update()
    assert r.returncode == 0 and c.candidate() == "0.0.9", r.stderr
    package, = (c.repository / "pool").rglob("ssictl_*.deb")
    data = bytearray(package.read_bytes())
    data[-100] ^= 1
    package.write_bytes(data)
    r = c.apt("install ssictl")
    assert r.returncode == 100 and "Hash Sum mismatch" in r.stderr, r.stdout + r.stderr
    assert c.host.run("command -v ssictl", check=False).returncode != 0
