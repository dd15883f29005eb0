# SPDX-License-Identifier: LGPL-2.1-or-later
"""compile.py BUILD OPTION… FILE: compiles one file as the build does, with further options, and keeps nothing of it."""
import json
import os
import shlex
import signal
import subprocess
import sys

build, *options, file = sys.argv[1:]
file = os.path.realpath(file)
for entry in json.load(open(os.path.join(build, "compile_commands.json"))):
    if os.path.realpath(os.path.join(entry["directory"], entry["file"])) == file:
        break
else:
    sys.exit(f"analyzer: the build does not have {file}")
command = shlex.split(entry["command"])
if os.path.basename(command[0]) == "ccache":
    del command[0]
command.remove("-MD")
command[command.index("-o") + 1] = os.devnull
for name in ("-MF", "-MQ"):
    at = command.index(name)
    del command[at:at + 2]
# The driver's end is not its compiler's: they are a process group.
with subprocess.Popen([*command, *options], cwd=entry["directory"], start_new_session=True) as driver:
    try:
        sys.exit(driver.wait(120))
    except subprocess.TimeoutExpired:
        sys.exit(f"analyzer: not finished with {file} in two minutes")
    finally:
        if driver.returncode is None:
            os.killpg(driver.pid, signal.SIGKILL)
