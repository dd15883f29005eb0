# SPDX-License-Identifier: LGPL-2.1-or-later
"""How Ansible reaches a throwaway host."""
import os
import subprocess

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
    name: testhost
    short_description: Run tasks in a host of tests/testhost
    description: By tests/testhost exec.
    author: SSI
    options:
      remote_addr:
        description: The host's name.
        default: inventory_hostname
        vars:
          - name: ansible_host
"""


class Connection(ConnectionBase):
    transport = "testhost"
    has_pipelining = True

    def _connect(self):
        self._connected = True
        return self

    def _run(self, argv, data):
        r = subprocess.run([os.environ["SSI_TESTHOST"], "exec", self._play_context.remote_addr, *argv], input=data or b"", capture_output=True)
        return r.returncode, r.stdout, r.stderr

    def exec_command(self, cmd, in_data=None, sudoable=True):
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        return self._run(["/bin/sh", "-c", cmd], in_data)

    def put_file(self, in_path, out_path):
        with open(in_path, "rb") as f:
            code, _, error = self._run(["/bin/sh", "-c", 'cat >"$1"', "-", out_path], f.read())
        if code:
            raise AnsibleConnectionFailure(f"{out_path}: {error!r}")

    def fetch_file(self, in_path, out_path):
        code, out, error = self._run(["cat", in_path], None)
        if code:
            raise AnsibleConnectionFailure(f"{in_path}: {error!r}")
        with open(out_path, "wb") as f:
            f.write(out)

    def close(self):
        self._connected = False
