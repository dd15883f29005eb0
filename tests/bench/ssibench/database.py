# SPDX-License-Identifier: LGPL-2.1-or-later
"""A PostgreSQL of the run's own, with fsync and synchronous_commit on, on the file system of /var/tmp."""
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time


class Database:
    """`with Database() as db`: a cluster in a temporary folder, db.dir, that is gone afterwards; or in a given one, that stays."""

    def __init__(self, *settings, folder=None):
        self.settings, self.folder = settings, folder
        self.programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.process = None

    def __enter__(self):
        if self.folder:
            self.dir = os.path.abspath(self.folder)
            os.makedirs(self.dir, exist_ok=True)
        else:
            self.dir = tempfile.mkdtemp(prefix="ssi-bench-", dir="/var/tmp")
        self.user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if self.user:
            os.chown(self.dir, self.user.pw_uid, self.user.pw_gid)
        # What runs as another user has to get through to its socket.
        os.chmod(self.dir, 0o755)
        self.log = open(os.path.join(self.dir, "log"), "a+")
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        if self.process:
            self.process.send_signal(signal.SIGINT)
            try:
                # A large one has much to write.
                self.process.wait(900 if self.folder else 60)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait()
        self.log.close()
        if not self.folder:
            shutil.rmtree(self.dir, ignore_errors=True)

    def as_user(self):
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": [], "cwd": "/"} if self.user else {}

    def start(self):
        data = self.dir + "/data"
        if not os.path.exists(data + "/PG_VERSION"):
            subprocess.run([self.programs + "/initdb", "-D", data, "-A", "trust", "-U", "ssi", "-E", "UTF8", "--locale", "C.UTF-8"],
                           check=True, stdout=self.log, stderr=self.log, **self.as_user())
        settings = ["listen_addresses=", "fsync=on", "synchronous_commit=on", "jit=off", *self.settings]
        self.process = subprocess.Popen([self.programs + "/postgres", "-D", data, "-k", self.dir,
                                         *(a for s in settings for a in ("-c", s))],
                                        stdout=self.log, stderr=self.log, start_new_session=True, **self.as_user())
        # It may have to recover first.
        for _ in range(9000 if self.folder else 300):
            if self.process.poll() is not None:
                break
            if subprocess.run([self.programs + "/pg_isready", "-q", "-h", self.dir], check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError("PostgreSQL does not start")

    @property
    def pid(self):
        return self.process.pid

    def conninfo(self, name="postgres"):
        return f"host={self.dir} user=ssi dbname={name}"

    def sql(self, text, name="postgres"):
        r = subprocess.run([self.programs + "/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo(name)],
                           input=text, text=True, capture_output=True, check=False)
        if r.returncode:
            raise RuntimeError(r.stderr)
        return r.stdout.strip()

    def counters(self, name="postgres"):
        """What the cluster has done since it began. A backend tells of its rows at most once a second."""
        commits, rows, wal = self.sql("SELECT xact_commit, tup_inserted, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"
                                      f" FROM pg_stat_database WHERE datname = '{name}'").split("|")
        return {"commits": int(commits), "rows": int(rows), "wal": int(float(wal))}
