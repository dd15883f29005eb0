# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the history of one service must be, whoever reported it."""
import math


def compare(kept, stored):
    """kept: the numbers that the journal has held. stored: what the database has, in the order of the commits: numbers, and None for a
    gap. Gives what is wrong, as text, and how many of what is missing lie in gaps: by the order of what came before and after, since the
    clock that times lines and gaps steps about."""
    wrong, in_gaps, last, gap = [], 0, 0, False
    missing = kept - set(stored)
    for n in [*stored, math.inf]:
        if n is None:
            gap = True
            continue
        if n <= last:
            wrong.append(f"{n} comes after {last}: {'twice' if n == last else 'out of order or twice'}")
        lost = {m for m in missing if last < m < n}
        if gap:
            in_gaps += len(lost)
        else:
            wrong += [f"{m} was in the journal and is not in the database" for m in sorted(lost)]
        last, gap = max(n, last), False
    return wrong, in_gaps
