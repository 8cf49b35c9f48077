"""The list of rows to look at, on tables and cells that nothing was set on, beside the best list there can be: that of
somebody who knows which cell was poisoned, how much of it in each week, and how every label came about."""

import csv
import subprocess

import numpy as np
import pyarrow.parquet as pq

# Cells with about as many turned rows as the generator's own, none of them its own.
CELLS = [(3, "digital"), (4, "travel"), (2, "digital"), (4, "electronics"), (5, "digital")]
LISTED = 200
BAR = 40 / 136


def one(program, work, payments, feeds, seed, feed, kind, together):
    path, out = work / "fraud.parquet", work / "review.csv"
    table, poison, known = payments(seed, "feed", feed, kind, together=together)
    pq.write_table(table, path)
    out.unlink(missing_ok=True)
    subprocess.run([program, "data", "review", path, *feeds, "--rows", str(LISTED), "--out", out], check=False, stdout=subprocess.DEVNULL)
    listed = [int(row["row"]) - 1 for row in csv.DictReader(out.read_text().splitlines())] if out.exists() else []
    best = np.argsort(-known, kind="stable")[:LISTED]
    return [int(poison.sum()), int(poison[listed].sum()), float(known[listed].sum()), int(poison[best].sum()), float(known[best].sum()), len(listed)]


def reviews(program, work, payments, feeds, runs, first, together=(0.0, 0.9)):
    rows = []
    for own in together:
        got = []
        for run in range(runs):
            feed, kind = CELLS[run % len(CELLS)]
            got.append(one(program, work, payments, feeds, first + run, feed, kind, own))
            print("review", own, first + run, feed, kind, got[-1], flush=True)
        planted, hit, worth, best, most, listed = np.array(got).T
        reached = lambda of: int((of / planted >= BAR).sum())
        what = "columns that act together" if own else "columns that add up"
        rows.append([
            f"rows to look at, {LISTED} listed, {runs} tables from seed {first}, {what}",
            f"{hit.sum():.0f} of {planted.sum():.0f} turned rows; 29 % or more in {reached(hit)} of {runs}; no list in {int((listed == 0).sum())}",
            f"who knows everything but the draws: {best.sum():.0f}, 29 % in {reached(best)}; expected hits {worth.sum():.0f} of their {most.sum():.0f} ({worth.sum() / most.sum():.0%})",
        ])
    return rows
