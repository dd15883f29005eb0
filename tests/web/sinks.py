# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where notifications go in the dashboard's tests: an HTTP receiver, a push service that decrypts, a mail server.

sinks.py. Its first line on stdout says where they are; then each line on stdin is a JSON object, answered by one:
  {"do": "hooks", "path": PATH, "n": N}  the bodies of N requests to the path, once they have come
  {"do": "answers", "list": [STATUS…]}   how the next requests are answered
  {"do": "subscribe", "key": KEY}        one more browser of this push service, as PushSubscription.toJSON() gives it
  {"do": "pushed", "n": N}               the N messages that the first one got, decrypted
  {"do": "mails", "to": ADDRESS, "n": N} the N-th mail to the address
"""
import json
import logging
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "unit"))
from sinks import Browser, HttpSink, MailSink, wait_until  # noqa: E402


logging.getLogger("mail.log").setLevel(logging.ERROR)


def main(folder):
    http, mails, browsers = HttpSink(), MailSink(folder, "ssi", "pa:ss/word"), []

    def taken(path, n):
        wait_until(lambda: sum(r.path == path for r in http.taken) >= n, f"{n} requests to {path}")
        return [r for r in http.taken if r.path == path]

    with open(mails.ca) as f:
        print(json.dumps({"http": http.url(""), "smtp": f"smtp://ssi:pa%3Ass%2Fword@localhost:{mails.port}", "ca": f.read()}),
              flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        what = command["do"]
        answer = {}
        if what == "hooks":
            answer["bodies"] = [r.json for r in taken(command["path"], command["n"])]
        elif what == "answers":
            for status in command["list"]:
                http.answers.put(status)
        elif what == "subscribe":
            browsers.append(Browser(http.url(f"/push/{len(browsers)}"), command["key"]))
            answer = browsers[-1].subscription()
        elif what == "pushed":
            answer["messages"] = [browsers[0].read(r) for r in taken("/push/0", command["n"])]
        elif what == "mails":
            mail = mails.wait(command["to"], command["n"])
            answer = {"subject": mail["Subject"], "text": mail.get_body(("plain",)).get_content()}
        print(json.dumps(answer), flush=True)
    http.down()
    mails.stop()


with tempfile.TemporaryDirectory(prefix="ssi-web-sinks-") as where:
    main(where)
