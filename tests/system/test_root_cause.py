# SPDX-License-Identifier: LGPL-2.1-or-later
"""The root cause before its dependants: real units, real checks, and what arrives at a webhook."""
import json
import time

from hosts import script, wait_until

SINK = """import http.server
class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/tmp/told", "ab") as f:
            f.write(body + b"\\n")
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 9099), Sink).serve_forever()
"""
UNITS = {"base": "", "middle": "Requires=base.service\nAfter=base.service\n", "top": "BindsTo=middle.service\nAfter=middle.service\n"}


def check(name):
    body = f'if systemctl is-active -q {name}.service; then ssi_ok "{name} is up, $RANDOM"; else ssi_failure "{name} is down"; fi'
    return script(name.capitalize(), body).replace("# timeout:", f"# watches: {name}.service\n# user: ssi-script\n# timeout:")


def test_one_alert_for_the_cause(own_stack, add):
    host = own_stack
    path = f"/api/v1/servers/{host.server_id}"
    host.write("/etc/systemd/system/ssi-serverd.service.d/sink.conf", "[Service]\nEnvironment=SSI_ALLOW_PRIVATE_TARGETS=yes\n")
    host.run("systemctl daemon-reload; systemctl restart ssi-serverd.service")
    host.write("/tmp/sink.py", SINK)
    sink = host.start("exec /usr/bin/python3 /tmp/sink.py")
    try:
        wait_until(lambda: host.request("GET", "/readyz")[0] == 200)
        status, answer = host.account.request("POST", "/api/v1/notifications/channels", {
            "type": "webhook", "name": "sink", "config": {"url": "http://127.0.0.1:9099/"}, "kinds": ["status"]})
        assert status == 201, answer

        def told():
            lines = host.run("cat /tmp/told", check=False).stdout.splitlines()
            return [(m["service"], m["new"]) for m in map(json.loads, lines)]

        def held():
            return host.sql("SELECT service, held_reason FROM notification_states WHERE held_reason IS NOT NULL ORDER BY service")

        def services():
            return host.account.services(host.server_id)

        def stand(**statuses):
            return lambda: {name: services()[name]["status"] for name in statuses} == statuses

        for name, needs in UNITS.items():
            host.write(f"/etc/systemd/system/{name}.service", f"[Unit]\n{needs}[Service]\nExecStart=/bin/sleep infinity\n")
        host.run("systemctl daemon-reload; systemctl start top.service")
        for name in UNITS:
            add(host, check(name))
            host.run(f"systemctl start ssi-{name}.service")
        wait_until(lambda: services().get("top", {}).get("depends_on") == ["base", "middle"], timeout=20)
        assert services()["middle"]["depends_on"] == ["base"] and services()["base"]["depends_on"] == []
        assert services()["top"]["watches"] == ["top.service"]
        wait_until(stand(base="OK", middle="OK", top="OK"), timeout=20)

        # systemd stops the dependants first, so that their checks see it first.
        host.run("systemctl stop base.service")
        wait_until(stand(base="FAILURE", middle="FAILURE", top="FAILURE"), timeout=20)
        wait_until(told, timeout=20)
        worst = host.account.get(path)["worst_service"]
        assert (worst["name"], worst["dependants"]) == ("base", 2)
        # The moment that dependants are given has passed.
        time.sleep(12)
        assert told() == [("base", "FAILURE")]
        assert held() == [["middle", "cause"], ["top", "cause"]]

        # All recover: nothing is told of what nobody was told of.
        host.run("systemctl start top.service")
        wait_until(stand(base="OK", middle="OK", top="OK"), timeout=20)
        wait_until(lambda: len(told()) > 1, timeout=20)
        assert told() == [("base", "FAILURE"), ("base", "OK")]
        wait_until(lambda: held() == [])

        # The cause recovers, and what depends on it does not: it is told, and of that the root again.
        host.run("systemctl stop base.service")
        wait_until(stand(base="FAILURE", middle="FAILURE", top="FAILURE"), timeout=20)
        wait_until(lambda: held() == [["middle", "cause"], ["top", "cause"]], timeout=20)
        host.run("systemctl start base.service")
        wait_until(lambda: len(told()) > 3, timeout=20)
        # Who waits here for two minutes learns nothing more. (A new message has the backend look at once.)
        wait_until(lambda: host.sql("SELECT 1 FROM notification_states WHERE held_reason = 'cause' AND held_until <> 'infinity'"))
        host.sql("UPDATE notification_states SET held_until = now() WHERE held_reason = 'cause'")
        host.run("systemctl start ssi-base.service")
        wait_until(lambda: len(told()) > 4, timeout=20)
        time.sleep(1)
        assert told()[2:] == [("base", "FAILURE"), ("base", "OK"), ("middle", "FAILURE")]
    finally:
        sink.terminate()
        sink.wait()
