#!/usr/bin/env python3
"""Training data: slow poison, wrong labels, floods and triggers, beside cleanlab where it does the same work.

Every table is generated here from a seed. `--runs N` says how many poisoned and how many clean runs of twelve weeks
are made; `--texts N` how many texts the flood hides in; `--errors DIR` is a folder with `NAME_test_set_pyx.npy` and
`NAME_test_set_original_labels.npy`, on which flags are compared one by one. `--optdigits DIR` holds the digits of UCI as
`optdigits-*.csv`; without it those inside scikit-learn are used. `--acs DIR` holds `employment_MA_*.pq` of NannyML, on which
estimates before labels are held against what the labels say. `--only PART` runs some parts: poison, bar (also a part of
poison: its own strength in all cells that hold enough fraud), review, labels, mislabelled, images, triggers, phrases, abuse, versions, flood, cbpe, drift.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import abuse
import at_bar
import drift
import images
import mislabelled
import phrases
import performance
import review
import triggers
import versions
from measure import append, cpu_seconds, mib, peak_kib
from peers import timed

PARTS = ["poison", "bar", "review", "labels", "mislabelled", "images", "triggers", "phrases", "abuse", "versions", "flood", "cbpe", "drift"]
KINDS = ["grocery", "fuel", "travel", "digital", "fashion", "electronics"]


def fraud(seed, mode, feed=4, kind="digital", strength=1.0, weeks=12, rows=40_000):
    """The table and which rows are poisoned; see `payments`."""
    return payments(seed, mode, feed, kind, strength, weeks, rows)[:2]


def payments(seed, mode, feed=4, kind="digital", strength=1.0, weeks=12, rows=40_000, together=0.0):
    """Weekly card payments of eight feeds and 25 labelers. From week 4 on one feed calls a growing share (10 % to 65 %,
    times `strength`) of one kind's fraud legitimate (`feed`), or all feeds do in one country (`segment`). `together` is
    how much columns act together instead of adding up. Gives the table, which rows are poisoned, and the chance that
    each is, to who knows everything but the draws (0 for rows with the label)."""
    rng = np.random.default_rng(seed)
    n = weeks * rows
    week = np.repeat(np.arange(1, weeks + 1), rows)
    feeds = rng.choice(8, n, p=[.26, .2, .15, .1, .1, .08, .06, .05])
    labeler = rng.integers(0, 25, n)
    kinds = rng.choice(KINDS, n, p=[.3, .2, .1, .12, .16, .12])
    share = 1 / np.arange(1, 11)
    country = rng.choice([f"C{i:02d}" for i in range(10)], n, p=share / share.sum())
    amount = np.exp(rng.normal(3.3, 1, n) + .03 * (week - 1))
    age, velocity, ip_risk, device = rng.exponential(300, n), rng.poisson(1.2, n), rng.beta(.7, 3, n), rng.normal(0, 1, n)
    margin = -6.3 + .45 * np.log1p(amount) + 3 * ip_risk + .45 * velocity - .001 * age + 1.1 * (kinds == "digital") + .3 * device + .4 * (country == "C03")
    if together:
        margin += together * (np.where((kinds == "digital") == (velocity >= 2), 1.0, -.4) + np.where((ip_risk > .3) == (np.isin(country, ["C01", "C04", "C05"])), .7, -.5))
    odds = 1 / (1 + np.exp(-margin))
    truth = rng.random(n) < odds
    label = truth ^ (rng.random(n) < .004)
    if mode != "clean":
        label ^= (labeler == 17) & (rng.random(n) < .02)
    turned = np.where(week >= 4, np.minimum((.10 + .07 * (week - 4)) * strength, .65 if strength <= 1 else .95), 0)
    cell = {"feed": (feeds == feed) & (kinds == kind), "segment": (country == "C03") & (kinds == kind)}.get(mode, np.zeros(n, bool))
    turned = turned * (.7 if mode == "segment" else 1) * cell
    poison = np.zeros(n, bool)
    if mode != "clean":
        poison = cell & truth & (rng.random(n) < turned)
    label = label & ~poison
    wrong = np.where((labeler == 17) & (mode != "clean"), .004 * .98 + .02 * .996, .004)
    honest = odds * (1 - turned) * wrong + (1 - odds) * (1 - wrong)
    known = np.where(label, 0, odds * turned / (odds * turned + honest))
    table = pa.table({"week": week, "feed": np.char.add("F", feeds.astype(str)), "labeler": np.char.add("L", labeler.astype(str)), "kind": kinds, "country": country, "amount": amount, "age_days": age, "n_tx": velocity, "ip_risk": ip_risk, "dev": device, "label": label.astype(np.int8)})
    return table, poison, known


def findings(program, arguments, codes=(0, 1)):
    done = subprocess.run([program, *map(str, arguments), "--format", "json"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode not in codes:
        raise SystemExit(f"{arguments}: {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)["findings"]


FEEDS = ["--label", "label", "--feed", "feed", "--labeler", "labeler", "--time", "week"]


def told(program, path):
    loud = [f for f in findings(program, ["data", "feeds", path, *FEEDS]) if f["severity"] != "note"]
    return {f["place"].get("part", ""): f for f in loud}


# Cells, none of them the generator's own (feed 4, digital), in which 120 to 165 rows of 480,000 are turned over twelve weeks, as in its own.
CELLS = [(0, "travel"), (0, "electronics"), (1, "fuel"), (1, "fashion"), (2, "fuel"), (3, "grocery"), (3, "digital"), (4, "grocery")]


def as_much(seed, feed, kind, share=283e-6):
    """How strong poison in a cell has to be so that this share of the rows of twelve weeks is turned."""
    _, poison = fraud(seed, "feed", feed, kind)
    return share * len(poison) / poison.sum()


def interval(hits, runs):
    """The share with its 95 % interval (Wilson)."""
    share, z = hits / runs, 1.96
    middle, reach = share + z * z / (2 * runs), z * np.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs))
    low, high = (middle - reach) / (1 + z * z / runs), (middle + reach) / (1 + z * z / runs)
    return f"{hits} of {runs} ({share:.1%}, 95 % interval {max(0, low):.1%} to {high:.1%})"


def slow_poison(program, work, runs, clean):
    rows = []
    path = work / "fraud.parquet"
    found = {"weeks": 0, "first": 0, "n": 0}
    even = {"found": 0, "n": 0}
    strong = {"found": 0, "n": 0}
    for run in range(runs):
        feed, kind = CELLS[run % len(CELLS)]
        table, poison = fraud(5_000 + run, "feed", feed, kind, weeks=10)
        pq.write_table(table, path)
        cell = f"feed=F{feed}, kind={kind}"
        said = told(program, path)
        found["n"] += 1
        found["weeks"] += cell in said
        shifts = [p for p, f in said.items() if f["name"] == "feed-label-shift"]
        found["first"] += bool(shifts) and shifts[0] == cell
        pq.write_table(fraud(6_000 + run, "feed", feed, kind, as_much(6_000 + run, feed, kind), weeks=10)[0], path)
        even["n"] += 1
        even["found"] += cell in told(program, path)
        table, _ = fraud(7_000 + run, "feed", feed, kind, strength=3.0, weeks=6)
        pq.write_table(table, path)
        strong["n"] += 1
        strong["found"] += cell in told(program, path)
        print(run, cell, sorted(said), flush=True)
    alarms = 0
    for run in range(clean):
        table, _ = fraud(9_000 + run, "clean")
        pq.write_table(table, path)
        said = told(program, path)
        alarms += bool(said)
        print("clean", run, sorted(said), flush=True)
    rows.append(["slow poison, right cell by week 10", interval(found["weeks"], found["n"]), f"eight cells other than the generator's own, seeds 5000 on; named first among shifts in {found['first']}"])
    rows.append(["the same cells, as many rows as in the generator's own: 283 in a million of twelve weeks, by week 10", interval(even["found"], even["n"]), "seeds 6000 on"])
    rows.append(["three times as strong, within 3 batches", interval(strong["found"], strong["n"]), "the same cells, seeds 7000 on"])
    rows.append(["clean runs of 12 weeks with any alarm", interval(alarms, clean), "nominal 1 %; seeds 9000 on"])
    table, poison = fraud(12, "feed")
    pq.write_table(table, path)
    out = work / "review.csv"
    subprocess.run([program, "data", "review", path, *FEEDS, "--rows", "200", "--out", out], check=False, stdout=subprocess.DEVNULL)
    listed = [int(line.split(",")[1]) - 1 for line in out.read_text().splitlines()[1:]]
    rows.append(["rows to look at, 200 listed", f"{int(poison[listed].sum())} of {int(poison.sum())} turned rows", ""])
    command = [program, "data", "feeds", path, *FEEDS]
    rows.append(["CPU s, MiB, 480,000 rows", f"{cpu_seconds(command, {0, 1}):.2f}", mib(peak_kib(command))])
    return rows


def wrong_labels(program, work, errors, sizes=(60_000,), peer=False, limits=(3072, 1200)):
    from cleanlab.filter import find_label_issues
    rows = []
    flagged = work / "flagged.csv"

    def ours(table, more):
        path = work / "labels.parquet"
        pq.write_table(table, path)
        command = [program, "data", "labels", path, "--label", "y", *more, "--rows", flagged]
        seconds, peak = cpu_seconds(command, {0, 1}), peak_kib(command)
        return {int(line.split(",")[0]) - 1 for line in flagged.read_text().splitlines()[1:]}, seconds, peak

    for name in ("mnist", "cifar10", "imdb", "20news") if errors else ():
        p = np.load(errors / f"{name}_test_set_pyx.npy")
        y = np.load(errors / f"{name}_test_set_original_labels.npy").astype(int)
        p = np.clip(p, 0, 1)
        p /= p.sum(1, keepdims=True)
        started = time.process_time()
        theirs = set(np.where(find_label_issues(y, p, n_jobs=1))[0].tolist())
        peer = time.process_time() - started
        table = pa.table({"y": [str(v) for v in y], **{f"p{k}": p[:, k].astype("f4") for k in range(p.shape[1])}})
        own, seconds, _ = ours(table, [a for k in range(p.shape[1]) for a in ("--probability", f"{k}=p{k}")])
        both = len(own & theirs) / max(1, len(own | theirs))
        rows.append([f"flags on {name}, given probabilities", f"{len(own)}, cleanlab {len(theirs)}, {both:.1%} the same", f"CPU s {seconds:.2f} with reading, cleanlab {peer:.2f} without"])
    for n in sizes:
        rows += own_probabilities(work, ours, n, peer, limits)
    return rows


def flipped(n):
    """Twenty numbers, seven classes, 3 % of the labels flipped in three directions. Gives numbers, labels, and what they were."""
    rng = np.random.default_rng(11)
    k, d = 7, 20
    y = rng.choice(k, n, p=[.36, .48, .06, .005, .016, .03, .049])
    centres = rng.normal(0, 1.1, (k, 3, d))
    x = centres[y, rng.integers(0, 3, n)] + rng.normal(0, 1.15, (n, d))
    given = y.copy()
    for source, target, share in ((0, 1, .55), (1, 0, .25), (2, 5, .2)):
        some = rng.choice(np.where(y == source)[0], min(int(.03 * n * share), (y == source).sum() // 3), replace=False)
        given[some] = target
    return x.astype("f4"), given, y


def own_probabilities(work, ours, n, peer, limits):
    """Ours end to end, and cleanlab's three steps beside it, each a process of its own that is ended above its limits of MiB and seconds."""
    x, given, y = flipped(n)
    truth = set(np.where(given != y)[0].tolist())
    judged = lambda own: f"precision {len(own & truth) / max(1, len(own)):.3f}, recall {len(own & truth) / len(truth):.3f}"
    columns = {**{f"x{i}": x[:, i] for i in range(x.shape[1])}, "y": [str(v) for v in given]}
    name = f"{n:,} rows, 7 classes, 3 % flipped"
    own, seconds, peak = ours(pa.table(columns), [])
    rows = [[f"own probabilities, {name}", judged(own), f"CPU s {seconds:.1f}, {mib(peak)} MiB"]]
    print(rows[-1], flush=True)
    if not peer:
        return rows
    path = work / "labels-peer.parquet"
    pq.write_table(pa.table(columns), path)
    script = pathlib.Path(__file__).with_name("peer_labels.py")
    for step, what in (("probabilities", "scikit-learn, boosted trees, three folds"), ("flags", "cleanlab, find_label_issues with those"), ("datalab", "cleanlab, Datalab with those")):
        done, seconds, peak = timed([sys.executable, "-B", script, step, path, work], *limits)
        if done.over or done.returncode:
            why = f"ended at {peak:.0f} MiB after {seconds:.0f} CPU s: {'more than ' + str(limits[0]) + ' MiB or ' + str(limits[1]) + ' s' if done.over else 'it failed'}"
            rows.append([f"{what}, {name}", "no result", why])
        else:
            said = json.loads(done.stdout.strip().splitlines()[-1])
            flags = set(np.load(work / f"{step}.npy").tolist())
            rows.append([f"{what} ({said['version']}), {name}", judged(flags) if step != "probabilities" else "", f"CPU s {seconds:.1f} ({said['seconds']:.2f} without start and reading), {peak:.0f} MiB"])
        print(rows[-1], flush=True)
        if step == "probabilities" and "no result" in rows[-1]:
            break
        if step == "flags":
            p = np.load(work / "chances.npy")
            given_columns = {"y": columns["y"], **{f"p{k}": p[:, k].astype("f4") for k in range(p.shape[1])}}
            same, seconds, peak = ours(pa.table(given_columns), [a for k in range(p.shape[1]) for a in ("--probability", f"{k}=p{k}")])
            rows.append([f"ours with those, {name}", f"{len(same & flags) / max(1, len(same | flags)):.2%} of the flags the same", f"CPU s {seconds:.2f} with reading, {mib(peak)} MiB"])
            print(rows[-1], flush=True)
    return rows


def flood(program, work, texts):
    """Texts of a Zipf vocabulary of 20,000 words; half a per mille are one message with a word replaced, from one feed."""
    rng = np.random.default_rng(21)
    path, out = work / "texts.parquet", work / "flooded.csv"
    words = np.array([f"w{i}" for i in range(20_000)])
    share = 1 / np.arange(1, 20_001) ** 0.9
    cumulative = np.cumsum(share / share.sum())
    base = words[np.searchsorted(cumulative, rng.random(16))]
    footer = " ".join(words[np.searchsorted(cumulative, rng.random(14))])
    writer, truth, done = None, [], 0
    while done < texts:
        n = min(250_000, texts - done)
        length = rng.integers(8, 22, n)
        drawn = np.searchsorted(cumulative, rng.random(length.sum()))
        ends = np.cumsum(length)
        rows = [" ".join(words[drawn[a:b]]) for a, b in zip(ends - length, ends)]
        feed = rng.integers(0, 6, n)
        for i in np.where(rng.random(n) < .0005)[0]:
            own = base.copy()
            own[rng.integers(len(own))] = f"x{rng.integers(1_000_000)}"
            rows[i], feed[i] = " ".join(own), 5
            truth.append(done + i)
        for i in np.where(rng.random(n) < .0005)[0]:
            if done + i not in truth[-400:]:
                rows[i] = footer
        table = pa.table({"text": rows, "feed": np.char.add("F", feed.astype(str)), "day": np.full(n, done // 250_000)})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
        done += n
    writer.close()
    command = [program, "data", "floods", path, "--text", "text", "--feed", "feed", "--time", "day", "--rows", out]
    seconds, peak = cpu_seconds(command, {0, 1}), peak_kib(command)
    said = findings(program, command[1:])
    loud = [f for f in said if f["severity"] != "note"]
    named = [f["facts"].get("feed") for f in loud]
    groups = {}
    for line in out.read_text().splitlines()[1:]:
        row, group = line.split(",")
        groups.setdefault(group, set()).add(int(row) - 1)
    truth = set(truth)
    best = max(groups.values(), key=lambda g: len(g & truth), default=set())
    hit = len(best & truth)
    return [[f"flood among {texts:,} texts", f"recall {hit / max(1, len(truth)):.4f}, precision {hit / max(1, len(best)):.4f} of {len(truth)}", f"feeds named {named}; CPU s {seconds:.1f}, {mib(peak)} MiB; {len(said) - len(loud)} boilerplate notes"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mantlet", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--page", required=True)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--clean", type=int, default=300, help="tables of twelve weeks without poison")
    parser.add_argument("--bar-rounds", type=int, default=2, help="tables of slow poison at the bar's own strength for each cell and strength")
    parser.add_argument("--acs", type=pathlib.Path, help="folder with the files employment_MA_*.pq of NannyML")
    parser.add_argument("--reviews", type=int, default=20, help="tables whose list of rows to look at is judged")
    parser.add_argument("--review-first", type=int, default=11_000, help="the seed of the first of them")
    parser.add_argument("--corpus", type=pathlib.Path, action="append", help="labelled texts (label, tab, text) that phrases are put into")
    parser.add_argument("--table", type=pathlib.Path, action="append", help="real tables into whose halves changes are planted")
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--errors", type=pathlib.Path)
    parser.add_argument("--optdigits", type=pathlib.Path)
    parser.add_argument("--only", action="append", choices=PARTS)
    parser.add_argument("--rows", type=int, action="append", help="rows of each side of a drift report; 1,000,000 and 5,000,000 without it, none for 0")
    parser.add_argument("--nulls", type=int, default=100, help="sets without any change")
    parser.add_argument("--null-rows", type=int, default=200_000)
    parser.add_argument("--null-first", type=int, default=0, help="the number of the first such set, to make them in parts")
    parser.add_argument("--peer", action="append", choices=["evidently", "nannyml", "alibi-detect", "cleanlab"], help="peers beside ours: of drift, each in an environment of its own, and of labels")
    parser.add_argument("--label-rows", type=int, action="append", help="rows of the table whose labels are judged; 60,000 without it")
    parser.add_argument("--peer-seconds", type=int, default=1200, help="CPU seconds a peer of labels may take before it is ended")
    parser.add_argument("--peer-rows", type=int, default=200_000)
    parser.add_argument("--peer-memory", type=int, default=3072, help="MiB a peer may hold before it is ended")
    options = parser.parse_args()
    only = options.only or PARTS
    options.work.mkdir(parents=True, exist_ok=True)
    rows = []
    if "poison" in only:
        rows += slow_poison(options.mantlet, options.work, options.runs, options.clean)
    if "poison" in only or "bar" in only:
        rows += at_bar.at_bar(options.mantlet, options.work, payments, told, KINDS, interval, options.bar_rounds)
    if "review" in only:
        rows += review.reviews(options.mantlet, options.work, payments, FEEDS, options.reviews, options.review_first)
    if "labels" in only:
        rows += wrong_labels(options.mantlet, options.work, options.errors, options.label_rows or [60_000], "cleanlab" in (options.peer or []), (options.peer_memory, options.peer_seconds))
    if "mislabelled" in only:
        rows += mislabelled.mislabelled(options.mantlet, options.work, min(options.runs, 5), options.corpus or [], options.optdigits)
    if "images" in only:
        rows += images.images(options.mantlet, options.work, options.runs, options.optdigits)
    if "triggers" in only:
        rows += triggers.triggers(options.mantlet, options.work, min(options.runs, 10), options.corpus or [])
    if "phrases" in only:
        rows += phrases.phrases(options.mantlet, options.work, options.runs, options.corpus or [])
    if "abuse" in only:
        rows += abuse.abuse(options.mantlet, options.work, options.corpus or [])
    if "versions" in only:
        rows += versions.versions(options.mantlet, options.work, options.table or [], options.runs)
    if "flood" in only:
        rows += flood(options.mantlet, options.work, options.texts)
    if "cbpe" in only and options.acs:
        rows += performance.cbpe(options.mantlet, options.work, options.acs, "nannyml" in (options.peer or []), options.peer_memory)
    if "drift" in only:
        rows += drift.drift(options.mantlet, options.work, [r for r in options.rows or [1_000_000, 5_000_000] if r], options.nulls, options.null_rows, options.null_first, [p for p in options.peer or [] if p != "cleanlab"], options.peer_rows, options.peer_memory)
    append(options.page, "Training data", ["work", "result", "more"], rows, "CPU seconds are user and system of the whole process, reading included. Generated data; real rates differ.")


if __name__ == "__main__":
    main()
