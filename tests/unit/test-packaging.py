#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packaging, containers, chart and workflow agree with the tree and with each other. None of them is run here: see tests/packages and
tests/container.

Usage: test-packaging.py TOP SSI-SERVERD [unittest arguments]
"""
import itertools
import re
import subprocess
import sys
import unittest
from pathlib import Path

import yaml

TOP = Path(sys.argv.pop(1))
SERVERD = sys.argv.pop(1)


def read(path):
    return (TOP / path).read_text()


def version():
    return re.search(r"version: '([^']+)'", read("meson.build"))[1]


class Versions(unittest.TestCase):
    def test_all_name_the_same(self):
        chart = yaml.safe_load(read("packaging/helm/ssi-server/Chart.yaml"))
        self.assertEqual(re.match(r"\S+ \((\S+)\)", read("packaging/debian/changelog"))[1], version())
        self.assertEqual(re.search(r"^Version:\s*(\S+)", read("packaging/rpm/service-status-indicator.spec"), re.M)[1], version())
        self.assertEqual((chart["version"], chart["appVersion"]), (version(), version()))
        self.assertRegex(read("CHANGELOG.md"), rf"(?m)^## \[{re.escape(version())}\]")


class Programs(unittest.TestCase):
    def test_hardened_by_the_linker(self):
        """At random addresses, with a stack that is not executed and tables that are read-only once the program runs."""
        def readelf(option):
            return subprocess.run(["readelf", "--wide", option, SERVERD], check=True, capture_output=True, text=True).stdout

        self.assertIn("DYN (Position-Independent", readelf("--file-header"))
        self.assertRegex(readelf("--dynamic"), r"FLAGS.*NOW")
        segments = readelf("--segments")
        self.assertIn("GNU_RELRO", segments)
        self.assertRegex(segments, r"GNU_STACK.* RW +0x")


class Dependencies(unittest.TestCase):
    def test_debian_builds_with_what_the_tree_needs(self):
        listed = subprocess.run([TOP / "tools/install-deps", "--list"], check=True, capture_output=True, text=True).stdout.split()
        control = re.search(r"Build-Depends:(.*?)\n\S", read("packaging/debian/control"), re.S)[1]
        needed = set(re.findall(r"[\w+.-]+-dev\b", control))
        self.assertEqual(needed, {p for p in listed if p.endswith("-dev")} - {"libc6-dev"})

    def test_the_image_has_the_libraries(self):
        """Those that the program links to directly; what those need follows by APT."""
        dynamic = subprocess.run(["readelf", "-d", SERVERD], check=True, capture_output=True, text=True).stdout
        names = [n for n in re.findall(r"NEEDED.*\[(.*)\]", dynamic) if not re.match(r"lib(c|m|asan|ubsan|gcc_s)\.so", n)]
        self.assertTrue(names)
        listed = subprocess.run([TOP / "packaging/container/libraries", SERVERD], check=True, capture_output=True, text=True).stdout
        owners = subprocess.run(["dpkg-query", "--search", *(f"*/{name}" for name in names)], check=True, capture_output=True,
                                text=True).stdout
        packages = {line.split(":")[0] for line in owners.splitlines()}
        self.assertEqual(packages - set(listed.split()), set())
        self.assertIn("$(cat /usr/share/ssi/libraries)", read("packaging/container/Containerfile"))


class Container(unittest.TestCase):
    def test_copies_what_is_installed(self):
        text = read("packaging/container/Containerfile")
        for path in re.findall(r"^COPY --from=build /dest/usr/(\S+)", text, re.M):
            self.assertRegex(read("packaging/debian/ssi-server.install"), rf"(?m)^usr/{path}$")

    def test_compose(self):
        compose = yaml.safe_load(read("packaging/container/compose.yaml"))
        server = compose["services"]["server"]
        build = TOP / "packaging/container" / server["build"]["context"]
        self.assertTrue((build / server["build"]["dockerfile"]).exists())
        self.assertIn("postgres", server["depends_on"])
        for service in compose["services"].values():
            for volume in service.get("volumes", []):
                self.assertIn(volume.split(":")[0], compose["volumes"])
        self.assertIn("--listen=0.0.0.0:8443", read("packaging/container/Containerfile"))

    def test_compose_knows_no_password_and_leaves_few_rights(self):
        services = yaml.safe_load(read("packaging/container/compose.yaml"))["services"]
        self.assertRegex(services["postgres"]["environment"]["POSTGRES_PASSWORD"], r"^\$\{POSTGRES_PASSWORD:\?")
        self.assertIn(":${POSTGRES_PASSWORD}@", services["server"]["environment"]["SSI_DATABASE_URL"])
        self.assertTrue(services["server"]["read_only"])
        self.assertEqual((services["server"]["cap_drop"], services["server"]["security_opt"]), (["ALL"], ["no-new-privileges:true"]))
        self.assertRegex(read("packaging/container/Containerfile"), r"(?m)^USER (?!root|0)\S")


class Chart(unittest.TestCase):
    """Without helm: the few constructs that the templates use are filled in here."""

    def setUp(self):
        self.values = yaml.safe_load(read("packaging/helm/ssi-server/values.yaml"))

    def look_up(self, expression):
        node = {"Values": self.values, "Release": {"Name": "name"}, "Chart": {"AppVersion": version()}}
        for key in expression.lstrip(".").split("."):
            self.assertIn(key, node, expression)
            node = node[key]
        return node

    def render(self, path):
        def fill(m):
            e = m[1].strip("- ")
            if n := re.fullmatch(r"toYaml (\S+) \| nindent (\d+)", e):
                text = yaml.safe_dump(self.look_up(n[1])).rstrip()
                return "\n" + "\n".join(" " * int(n[2]) + line for line in text.splitlines())
            if n := re.fullmatch(r"(\S+) \| default (\S+)", e):
                return str(self.look_up(n[1]) or self.look_up(n[2]))
            self.assertRegex(e, r"^\.\S+$")
            return str(self.look_up(e))

        return yaml.safe_load(re.sub(r"\s*\{\{(- .*?)\}\}|\{\{([^-].*?)\}\}", lambda m: fill([None, m[1] or m[2]]),
                                     path.read_text()))

    def test_templates(self):
        kinds = {}
        for path in (TOP / "packaging/helm/ssi-server/templates").glob("*.yaml"):
            o = self.render(path)
            kinds[o["kind"]] = o
        spec = kinds["Deployment"]["spec"]
        labels = spec["template"]["metadata"]["labels"]
        self.assertLessEqual(spec["selector"]["matchLabels"].items(), labels.items())
        self.assertLessEqual(kinds["Service"]["spec"]["selector"].items(), labels.items())
        container = spec["template"]["spec"]["containers"][0]
        self.assertIn(kinds["Service"]["spec"]["ports"][0]["targetPort"], [p["name"] for p in container["ports"]])
        self.assertEqual({m["name"] for m in container["volumeMounts"]}, {v["name"] for v in spec["template"]["spec"]["volumes"]})
        manual = read("man/ssi-serverd.8").replace("\\-", "-").replace("\\&", "")
        for variable in container["env"]:
            self.assertIn(variable["name"], manual)
        self.assertEqual(container["resources"], self.values["resources"])
        # The password is a secret of the cluster, and few rights are left.
        database = next(v for v in container["env"] if v["name"] == "SSI_DATABASE_URL")
        self.assertEqual(database["valueFrom"]["secretKeyRef"]["name"], self.values["database"]["secretName"])
        self.assertTrue(spec["template"]["spec"]["securityContext"]["runAsNonRoot"])
        self.assertEqual(container["securityContext"], {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                        "capabilities": {"drop": ["ALL"]}})


class Workflows(unittest.TestCase):
    """Run by nobody but GitHub: that what they name is there is all that can be seen here."""

    # Measures, and judges nothing.
    BY_HAND = {"tests/bench/run"}

    @classmethod
    def setUpClass(cls):
        cls.workflows = {p.stem: yaml.safe_load(p.read_text()) for p in sorted((TOP / ".github/workflows").glob("*.yaml"))}

    def jobs(self, *names):
        for name in names or self.workflows:
            yield from self.workflows[name]["jobs"].values()

    def commands(self, *names):
        """The lines that the jobs run, once for each combination of their matrix."""
        found = []
        for job in self.jobs(*names):
            matrix = dict(job.get("strategy", {}).get("matrix", {}))
            rows = matrix.pop("include", [{}])
            for values in itertools.product(*matrix.values()):
                for row in rows:
                    words = {**dict(zip(matrix, values)), **row}
                    for step in job.get("steps", []):
                        text = step.get("run", "")
                        for word in re.findall(r"\$\{\{ matrix\.(\w+) \}\}", text):
                            self.assertTrue(word in words or step.get("if") == f"matrix.{word}", text)
                            text = text.replace("${{ matrix.%s }}" % word, words.get(word, ""))
                        found += [line.strip() for line in text.splitlines() if line.strip()]
        return found

    def test_only_what_is_released_may_write(self):
        self.assertEqual(set(self.workflows), {"ci", "nightly", "release"})
        for name, workflow in self.workflows.items():
            self.assertEqual(workflow["permissions"], {"contents": "read"}, name)
            for job, what in workflow["jobs"].items():
                self.assertEqual("permissions" in what, (name, job) == ("release", "publish"), (name, job))

    def test_actions_have_a_version(self):
        for job in self.jobs():
            for use in filter(None, [job.get("uses"), *(step.get("uses") for step in job.get("steps", []))]):
                if use.startswith("./"):
                    self.assertTrue((TOP / use).exists(), use)
                else:
                    self.assertRegex(use, r"^actions/[\w-]+@(v\d+|[0-9a-f]{40})$")

    def test_commands_and_their_options_are_there(self):
        helps, seen = {}, 0
        for line in (part for line in self.commands() for part in line.split(" && ")):
            m = re.match(r"(?:\w+=\S+ )*((?:tools|tests|\.ci)/[\w/-]+)(.*)", line)
            if not m:
                self.assertRegex(line, r"^(apt-get|tar|gpg|gh|git|echo|test) ")
                continue
            command, arguments = m.groups()
            if command not in helps:
                r = subprocess.run([TOP / command, "--help"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
                self.assertEqual(r.returncode, 0, command)
                helps[command] = r.stdout
            for option in re.findall(r"(?<!\S)(--?[\w-]+)", arguments):
                self.assertRegex(helps[command], rf"(?<![\w-]){option}(?![\w-])", line)
                seen += 1
        self.assertGreater(seen, 15)

    def test_all_suites_and_slow_tests_run(self):
        runs = "\n".join(self.commands("ci"))
        for command in (".ci/run --unit", ".ci/run --system", ".ci/run --web", ".ci/run --fuzz", ".ci/run --release=trixie", "tools/lint"):
            self.assertRegex(runs, rf"(?m)^{re.escape(command)}\b")
        self.assertIn("tests/run", read(".ci/run"))
        runs = "\n".join(self.commands("nightly"))
        slow = {str(p.relative_to(TOP)) for p in [*TOP.glob("tests/*/run"), *TOP.glob("tests/packages/check-*")]}
        self.assertGreater(len(slow), 5)
        self.assertEqual({name for name in slow if name not in runs}, self.BY_HAND)
        for command in (".ci/run --packages", ".ci/run --slow", "SSI_FUZZ_SECONDS=300 .ci/run --fuzz"):
            self.assertRegex(runs, rf"(?m)^{re.escape(command)}$")

    def test_what_a_job_takes_another_has_given(self):
        for name, workflow in self.workflows.items():
            given, taken = {}, []
            for job, what in workflow["jobs"].items():
                for needed in [what["needs"]] if isinstance(what.get("needs"), str) else what.get("needs", []):
                    self.assertIn(needed, workflow["jobs"], (name, job))
                for step in what.get("steps", []):
                    action, options = step.get("uses", "").split("@")[0], step.get("with", {})
                    if action == "actions/upload-artifact":
                        given[options["name"].split("${{")[0]] = job
                    elif action == "actions/download-artifact":
                        pattern = options.get("name") or options["pattern"].strip("{}").replace("*", "")
                        taken += [(job, part) for part in pattern.split(",")]
            self.assertTrue(taken or name == "nightly", name)
            for job, artefact in taken:
                self.assertIn(artefact, given, (name, job))
                self.assertIn(given[artefact], workflow["jobs"][job]["needs"], (name, job))

    def test_the_release_has_packages_for_all_that_is_supported(self):
        built = [line for line in self.commands("release") if line.startswith("tools/build-deb")]
        self.assertEqual(sorted(re.findall(r"--release=(\w+) --arch=(\w+)", "\n".join(built))),
                         [(r, a) for r in ("bookworm", "trixie") for a in ("amd64", "arm64")])


if __name__ == "__main__":
    unittest.main()
