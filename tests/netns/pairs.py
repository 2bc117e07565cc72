#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
pairs: rows of parameters such that each value of one meets each value of every other at least once; with --all the whole product.

    pairs mode=offload,wire,bare cipher=aes,chacha underlay=4,6

prints one row a line ("mode=wire cipher=aes underlay=6"). The same arguments give the same rows.
"""
import itertools
import random
import sys


def new_pairs(row, open_pairs):
    return sum(1 for pair in itertools.combinations(enumerate(row), 2) if pair in open_pairs)


def covering(values, tries=200):
    """Greedy: of some random rows around a pair that is still open, the one that closes most."""
    rng = random.Random(1)
    columns = range(len(values))
    open_pairs = {((i, a), (j, b)) for i, j in itertools.combinations(columns, 2) for a in values[i] for b in values[j]}
    rows = []
    while open_pairs:
        (i, a), (j, b) = min(open_pairs)
        candidates = [[rng.choice(value) for value in values] for _ in range(tries)]
        for row in candidates:
            row[i], row[j] = a, b
        best = max(candidates, key=lambda row: new_pairs(row, open_pairs))
        rows.append(best)
        open_pairs -= set(itertools.combinations(enumerate(best), 2))
    return rows


def main():
    wants_all = "--all" in sys.argv[1:]
    parameters = [argument.split("=", 1) for argument in sys.argv[1:] if argument != "--all"]
    if not parameters:
        print(__doc__)
        return 2
    values = [text.split(",") for _, text in parameters]
    rows = itertools.product(*values) if wants_all or len(values) < 2 else covering(values)
    for row in rows:
        print(" ".join(f"{name}={value}" for (name, _), value in zip(parameters, row)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
