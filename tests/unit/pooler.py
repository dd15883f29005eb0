# SPDX-License-Identifier: LGPL-2.1-or-later
"""PgBouncer in front of a test's database."""
import contextlib
import os
import subprocess

from ports import free_port

PGBOUNCER = "/usr/sbin/pgbouncer"


@contextlib.contextmanager
def pooler(backend, mode, folder=None):
    """In front of the database with its socket in the folder, by default the backend's; gives the port on 127.0.0.1."""
    folder, port = folder or backend.dir, free_port()
    path = os.path.join(folder, f"pgbouncer-{mode}.ini")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"[databases]\npostgres = host={folder} user=ssi\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
                f"unix_socket_dir =\nauth_type = any\npool_mode = {mode}\nignore_startup_parameters = extra_float_digits\n"
                # As packaging/ha has it.
                "query_wait_timeout = 3\nserver_connect_timeout = 3\nserver_login_retry = 1\n")
    process = subprocess.Popen([PGBOUNCER, "-q", path], stdout=backend.log, stderr=backend.log, **backend.as_user())
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)
