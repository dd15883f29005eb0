# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parts of tests/bench/run. A part is a function that takes a Bench, measures, and leaves nothing behind."""
