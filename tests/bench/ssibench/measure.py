# SPDX-License-Identifier: LGPL-2.1-or-later
"""What /proc says of processes, and the figures of a run."""
import json
import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def smaps(pid, key="Pss"):
    """A sum in kB of a process's smaps_rollup; 0 for one that has gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def pss(pids):
    return sum(smaps(p) for p in pids)


def family(pid):
    """A process and all that descend from it."""
    found, new = [pid], [pid]
    while new:
        below = []
        for p in new:
            try:
                for task in os.listdir(f"/proc/{p}/task"):
                    below += [int(c) for c in Path(f"/proc/{p}/task/{task}/children").read_text().split()]
            except OSError:
                pass
        found += below
        new = below
    return found


def cpu(pids):
    """Processor seconds of processes and of their children that have ended."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += sum(int(fields[i]) for i in (11, 12, 13, 14))
        except OSError:
            pass
    return total / TICKS


def cpu_fine(pids):
    """The same of the processes' own threads, to the nanosecond."""
    total = 0
    for pid in pids:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                total += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
        except OSError:
            pass
    return total / 1e9


def switches(pids):
    """Voluntary context switches of all threads."""
    total = 0
    for pid in pids:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                for line in Path(f"/proc/{pid}/task/{task}/status").read_text().splitlines():
                    if line.startswith("voluntary_ctxt_switches:"):
                        total += int(line.split()[1])
        except OSError:
            pass
    return total


def threads(pids):
    return sum(len(os.listdir(f"/proc/{p}/task")) for p in pids)


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * q))] if values else None


def descriptors(pids):
    """Open files; none of a process that has gone."""
    total = 0
    for pid in pids:
        try:
            total += len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            pass
    return total


class Sampler:
    """The memory and the open files of processes over a time: `with Sampler({"serverd": [pid]}) as s`, with s.look() called
    now and then."""

    def __init__(self, named):
        self.named = named
        self.samples = {name: [] for name in named}
        self.own = {name: [] for name in named}  # without the files that are mapped, as the journal is
        self.files = {name: [] for name in named}
        self.last = 0

    def look(self, every=0.5):
        if time.monotonic() - self.last >= every:
            self.last = time.monotonic()
            for name, pids in self.named.items():
                self.samples[name].append(pss(pids))
                self.own[name].append(sum(smaps(p, "Pss_Anon") for p in pids))
                self.files[name].append(descriptors(pids))

    def figures(self):
        """Of each: at the beginning, the middle and the end of the time, and the most."""
        out = {}
        for kind, samples in (("pss", self.samples), ("anonymous", self.own)):
            for name, s in samples.items():
                if s:
                    out.update({f"{name}_{kind}_begin_kb": s[0], f"{name}_{kind}_middle_kb": s[len(s) // 2],
                                f"{name}_{kind}_end_kb": s[-1], f"{name}_{kind}_most_kb": max(s)})
        for name, s in self.files.items():
            if s:
                out.update({f"{name}_files_begin": s[0], f"{name}_files_end": s[-1], f"{name}_files_most": max(s)})
        return out


class OutOfTime(Exception):
    pass


@contextmanager
def at_most(seconds, what):
    """Ends what takes longer, wherever it is."""

    def late(*_):
        raise OutOfTime(f"{what}: not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(int(seconds))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Report:
    """Rows of figures by part: shown as they come, kept as JSON after each."""

    def __init__(self, path):
        self.path = path
        self.parts = {}

    def about(self, **values):
        self.parts["about"] = values
        self.save()

    def row(self, part, name, **values):
        self.parts.setdefault(part, {})[name] = values
        print(f"{name:38}", "  ".join(f"{k} {self.text(v)}" for k, v in values.items()), flush=True)
        self.save()

    @staticmethod
    def text(v):
        if isinstance(v, float):
            return f"{v:.0f}" if abs(v) >= 1000 else f"{v:.4g}"
        return "-" if v is None else str(v)

    def save(self):
        if self.path:
            self.path.write_text(json.dumps(self.parts, indent=1) + "\n")

    def table(self, part, width=150):
        """All rows of a part, a column each, in blocks that fit."""
        rows = self.parts.get(part, {})
        block = {}
        for name, values in rows.items():
            if block and len(self.lines(part, {**block, name: values})[0]) > width:
                self.show(part, block)
                block = {}
            block[name] = values
        self.show(part, block)

    def lines(self, part, rows):
        keys = list(dict.fromkeys(k for values in rows.values() for k in values))
        cells = [[part, *rows]] + [[k, *(self.text(v[k]) if k in v else "" for v in rows.values())] for k in keys]
        widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
        return ["  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))) for line in cells]

    def show(self, part, rows):
        if rows:
            print("", *self.lines(part, rows), sep="\n", flush=True)
