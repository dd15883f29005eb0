#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the roles that routes need as the initialiser of a C array, from the OpenAPI document (docs/adr/0058).
Usage: roles.py OPENAPI OUTPUT"""

import json
import re
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    paths = json.load(f)["paths"]
with open(sys.argv[2], "w", encoding="utf-8") as f:
    for path, item in paths.items():
        for method, operation in item.items():
            if role := operation.get("x-ssi-role"):
                pattern = re.sub(r"{(\w+)}", r":\1", path)
                f.write(f'{{ "{method.upper()}", "{pattern}", "{role}" }},\n')
