#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes a file as the initialiser of a C array. Usage: embed.py INPUT OUTPUT"""

import sys

with open(sys.argv[1], "rb") as f:
    data = f.read()
with open(sys.argv[2], "w") as f:
    for i in range(0, len(data), 20):
        f.write(", ".join(str(byte) for byte in data[i:i + 20]) + ",\n")
