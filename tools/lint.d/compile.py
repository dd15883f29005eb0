"""compile.py BUILD OPTION… FILE: compiles one file as the build does, with further options, and keeps nothing of it."""
import json
import os
import shlex
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
command[command.index("-o") + 1] = os.devnull
command = [a for a in command if not a.startswith(("-fdiagnostics-color", "-MQ", "-MD"))]
try:
    sys.exit(subprocess.run([*command, *options], cwd=entry["directory"], timeout=120).returncode)
except subprocess.TimeoutExpired:
    sys.exit(f"analyzer: not finished with {file} in two minutes")
