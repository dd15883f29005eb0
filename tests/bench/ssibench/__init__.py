"""The parts of tests/bench/run. A part is a function that takes a Bench, measures, and leaves nothing behind."""
