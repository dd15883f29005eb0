# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs of the tree that end, and tidy up, on Ctrl-C, started as a person at a terminal starts them."""
import contextlib
import signal
import subprocess


def heed_signals():
    """In a child, before its program: who started the tests may have had these ignored, as a shell's background and nohup do,
    and Bash cannot set back what it was started with."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def program(argv, log, **kwargs):
    """Starts a program, which has no terminal, in a session of its own; what it prints goes to the file log, which is shown at
    the end. It is ended if it has not ended by then, with time to tidy up."""
    with open(log, "w") as out:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
                                   preexec_fn=heed_signals, **kwargs)
    try:
        yield process
    finally:
        try:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(120)
        finally:
            process.kill()
            process.wait()
            print(log.read_text())
