#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packaging, containers, chart and workflow agree with the tree and with each other. None of them is run here: see tests/packages and
tests/container.

Usage: test-packaging.py TOP SSI-SERVERD [unittest arguments]
"""
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


class Workflow(unittest.TestCase):
    def test_runs_what_everybody_runs_and_keeps_the_packages(self):
        workflow = yaml.safe_load(read(".github/workflows/ci.yaml"))
        steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
        runs = "\n".join(step.get("run", "") for step in steps)
        self.assertIn(".ci/run", runs)
        self.assertIn("tests/run", read(".ci/run"))
        self.assertTrue(any("upload-artifact" in step.get("uses", "") for step in steps))
        for path in re.findall(r"(?:tools|tests|\.ci)/[\w/-]+", runs):
            self.assertTrue((TOP / path).exists(), path)
        self.assertEqual(workflow["permissions"], {"contents": "read"})


if __name__ == "__main__":
    unittest.main()
