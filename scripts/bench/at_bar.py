"""Slow poison at the strength that its bar names: as many rows as in the generator's own cell, in every cell of feed and
kind that holds enough fraud for it, and three times as many."""

import statistics

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# Turned rows in a million of twelve weeks.
BAR, THREE_TIMES = 283, 849
# The ramp grows until week 10 at least; one that has to be steeper than this is full before, and no slow poison.
STEEPEST = 0.95 / 0.52
# Tables without poison that tell how much fraud a cell holds, and the seeds of poisoned ones: used for nothing else.
COUNTED, PLANTED, PLANTED_THREE = range(51_000, 51_003), 52_000, 54_000
WEEKS, ROWS = 12, 40_000
OWN = (4, "digital")
# One table without poison in a hundred reaches so many deviations in some cell of feed and kind or country.
CLEAN_REACH = 4.2


def frauds(payments, feeds, kinds):
    """Fraud of weeks 4 to 12 that is expected in each cell: labels, less those that are wrong by chance."""
    held = {(feed, kind): np.zeros(WEEKS - 3) for feed in range(feeds) for kind in kinds}
    for seed in COUNTED:
        table = payments(seed, "clean")[0]
        week, label = table["week"].to_numpy(), table["label"].to_numpy()
        feed, kind = np.array(table["feed"].to_pylist()), np.array(table["kind"].to_pylist())
        for own, counts in held.items():
            cell = (feed == f"F{own[0]}") & (kind == own[1])
            rows = np.bincount(week[cell], minlength=WEEKS + 1)[4:]
            said = np.bincount(week[cell], weights=label[cell], minlength=WEEKS + 1)[4:]
            counts += (said - 0.004 * rows) / 0.992 / len(COUNTED)
    return held


def turned(counts, strength):
    """Rows that a ramp of this strength turns; as `payments` has it."""
    ramp = np.minimum((0.10 + 0.07 * np.arange(WEEKS - 3)) * strength, 0.65 if strength <= 1 else 0.95)
    return float((ramp * counts).sum())


def strength_for(counts, in_a_million):
    """The strength that turns so many rows in a million; nothing when the cell holds too little fraud."""
    wanted, low, high = in_a_million * 1e-6 * WEEKS * ROWS, 0.0, 3.0
    if turned(counts, high) < wanted:
        return None
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if turned(counts, middle) < wanted else (low, middle)
    return high


def lacking(table, poison, counts, last):
    """How many deviations the cell lacks in the window of weeks, up to the last, where that is most: what somebody sees
    who knows the cell and what is expected of it."""
    week = table["week"].to_numpy()
    gone = np.bincount(week[poison], minlength=WEEKS + 1)[4 : last + 1]
    return max(gone[at:].sum() / np.sqrt(counts[at : last - 3].sum()) for at in range(len(gone)))


def until(table, week):
    return table.filter(pa.array(table["week"].to_numpy() <= week))


def at_bar(program, work, payments, told, kinds, interval, rounds):
    """Rows of the page; `rounds` tables for each cell and strength, each of a seed of its own."""
    held = frauds(payments, 8, kinds)
    path = work / "at-bar.parquet"

    def said(table, cell):
        """Whether the cell is told, whether first among shifts, and after which week it could first be told."""
        pq.write_table(table, path)
        loud = told(program, path)
        shifts = [place for place, finding in loud.items() if finding["name"] == "feed-label-shift"]
        first = loud[cell]["facts"]["first_told"] if cell in loud else None
        return cell in loud, bool(shifts) and shifts[0] == cell, first and int(str(first).split()[-1])

    out = []
    for strong, in_a_million, steepest, first_seed, last in ((False, BAR, STEEPEST, PLANTED, 10), (True, THREE_TIMES, 3.0, PLANTED_THREE, 6)):
        cells = {cell: strength_for(counts, in_a_million) for cell, counts in held.items() if cell != OWN}
        cells = {cell: strength for cell, strength in cells.items() if strength is not None and strength <= steepest}
        hits, firsts, seen, weeks, rows, by_cell = 0, 0, 0, [], [], {}
        for run in range(rounds * len(cells)):
            (feed, kind), strength = list(cells.items())[run % len(cells)]
            table, poison, _ = payments(first_seed + run, "feed", feed, kind, strength)
            cell = f"feed=F{feed}, kind={kind}"
            hit, first, _ = said(until(table, last), cell)
            _, _, week = said(table, cell)
            hits, firsts = hits + hit, firsts + first
            seen += lacking(table, poison, held[feed, kind], last) >= CLEAN_REACH
            weeks.append(week)
            rows.append(poison.mean() * 1e6)
            by_cell[cell] = by_cell.get(cell, 0) + hit
            print(in_a_million, cell, f"strength {strength:.2f}, {rows[-1]:.0f} in a million", "told" if hit else "not told", "first" if first else "", week, flush=True)
        runs = rounds * len(cells)
        if not runs:
            continue
        when = sorted(week for week in weeks if week)
        spread = f"week {statistics.median_low(when)} in the middle, {when[0]} to {when[-1]}" if when else "never"
        missed = [f"{cell} {rounds - count}" for cell, count in by_cell.items() if count < rounds]
        name = f"slow poison of {in_a_million} in a million of twelve weeks, " + ("three times the bar's strength, within 3 batches (week 6)" if strong else "the bar's own strength, right cell by week 10")
        more = (
            f"{len(cells)} cells that hold enough fraud, each but the generator's own, {rounds} tables a cell, seeds {first_seed} on; planted {statistics.mean(rows):.0f} in a million ({min(rows):.0f} to {max(rows):.0f}); "
            f"right cell first among shifts in {firsts} of {runs}; it lacks {CLEAN_REACH} deviations or more in {seen}; over all twelve weeks told in {len(when)} of {runs}, first after {spread}"
        )
        out.append([name, interval(hits, runs), more + (f"; not told: {', '.join(missed)}" if missed else "")])
        print(out[-1], flush=True)
    return out
