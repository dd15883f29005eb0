# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ports for what a test starts."""
import random
import socket

reserved = []


def free_port():
    """A port that stays this process's: below those that the kernel gives to connections, and with a name that the tests agree on, which
    goes when the process does."""
    for port in random.sample(range(20000, 32000), 1000):
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0ssi-test-port-{port}")
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", port))
        except OSError:
            name.close()
            continue
        reserved.append(name)
        return port
    raise RuntimeError("there is no free port")
