"""Figures beside the bars they are held to: attacks on decisions and scores, rows of tables, exact trees, copies.

A part of `cargo xtask bench attack`; alone with `--part bars`. Each line is one process from the file, loading, checks
and report included; distances are medians over all rows turned, also those beyond the radius a policy names."""

import json
import pathlib
import re
import statistics
import subprocess

import battery
import ceiling
from measure import append


def measured(mantlet, folder, attack, rows, settings, rules=None):
    """One attack: rows attacked, rows turned, median L2, mean and most queries for a row, CPU seconds."""
    report, seconds = battery.reported(mantlet, folder, attack, settings, rows, rules)
    outcome = report["outcome"]["rows"]
    turned = [row["distances"]["l2"] for row in outcome if row.get("distances")]
    queries = [row["queries"] for row in outcome]
    n = report["n"]
    return {
        "n": n,
        "missed": [row["row"] for row in outcome if row["state"] == "miss"],
        "hits": report["counts"]["hit"] / max(1, n),
        "turned": len(turned) / max(1, n),
        "l2": statistics.median(turned) if turned else float("nan"),
        "each": statistics.mean(queries),
        "most": max(queries),
        "seconds": seconds,
    }


def copies(mantlet, first, count):
    """Agreement of copies from labels alone, one for each seed."""
    example = pathlib.Path(mantlet).parent / "examples" / "extraction"
    done = subprocess.run([str(example), "--from", str(first), "--seeds", str(count)], stdin=subprocess.DEVNULL, check=True, capture_output=True, text=True)
    return [float(found) for found in re.findall(r"^seed \d+: (\S+)", done.stdout, re.M)]


def most(work, rules, epsilon, found):
    """What an exact search says of the rows that were missed, in words."""
    import torch

    net = torch.load(work / "mlp.weights")
    weights = [net[f"{layer}.{kind}"].numpy().astype(float) for layer in (0, 2, 4) for kind in ("weight", "bias")]
    declared = json.loads(rules.read_text())["relations"]
    none, some, undecided = ceiling.impossible(work / "mlp", weights, declared, epsilon, found["missed"])
    open_ = f", {undecided} open" if undecided else ""
    return f" (of the {len(found['missed'])} missed {none} are proved to have no such change, {some} have one{open_})"


def run(options, work):
    mantlet, rows = options.mantlet, []
    battery.prepare(work, mantlet)

    def line(what, bar, figure, n, seconds):
        rows.append([what, bar, figure, n, seconds])
        print(rows[-1], flush=True)

    for queries, bar in ((1800, "0.75"), (6500, "0.60")):
        found = measured(mantlet, work / "cnn_std", "evasion-hop-skip-jump", 10, {"queries": queries})
        line(f"HopSkipJump, median L2 at {queries:,} queries", bar, f"{found['l2']:.3f} (most queries for a row {found['most']:,})", found["n"], f"{found['seconds']:.2f}")
    for model, bar in (("cnn_std", "74 %"), ("cnn_at", "50 %"), ("cnn_masked", "68 %")):
        epsilon = battery.EPSILON[model]
        found = measured(mantlet, work / model, "evasion-square", 100, {"epsilon": epsilon})
        line(f"Square, {model} at {epsilon:.2f}: turned; queries for each row", f"{bar}; 900", f"{found['hits']:.1%}; {found['each']:.0f}", found["n"], f"{found['seconds']:.2f}")
    rules = work / "rules.json"
    for epsilon, bar in ((0.1, "75 %"), (0.05, "")):
        found = measured(mantlet, work / "mlp", "evasion-table-climb", 150, {"norm": "linf", "epsilon": epsilon}, rules)
        line(f"believable rows of a table, perceptron, Linf {epsilon:.2f}", bar, f"{found['hits']:.1%}{most(work, rules, epsilon, found)}", found["n"], f"{found['seconds']:.2f}")
    for count in (171, 20):
        for what, settings in (
            ("from the file", {"norm": "l2"}),
            ("scores and labels of an endpoint alone", {"norm": "l2", "trees": False}),
            ("labels of an endpoint alone", {"norm": "l2", "trees": False, "scores": False}),
        ):
            found = measured(mantlet, work / "gbdt", "evasion-table-search", count, settings, rules)
            which = "all held-out rows" if count > 20 else "the first rows alone"
            line(f"believable rows of a table, boosted trees, {what}, {which}: turned; median L2; most queries for a row", "100 %; 0.20; 1,500", f"{found['turned']:.0%}; {found['l2']:.3f}; {found['most']:,}", found["n"], f"{found['seconds']:.2f}")
    found = measured(mantlet, work / "gbdt", "evasion-tree-exact", 100, {"radius": 0.1}, rules)
    line("exact smallest Linf of boosted trees 100 x 4, for each row", "1 s", f"{found['seconds'] / max(1, found['n']):.2f} s", found["n"], f"{found['seconds']:.2f}")
    for what, first, count in (("seeds 4 to 9", 4, 2 if options.quick else 6), ("seeds 1 to 3, which the way was chosen on", 1, 1 if options.quick else 3)):
        found = copies(mantlet, first, count)
        line(f"copy from 60 pictures, 250 labels: agreement, median of {what}", "0.88; stretch 0.93", f"{statistics.median(found):.3f} [{min(found):.3f}, {max(found):.3f}]", len(found), "")
    note = "The models and rows of the literature's comparison: digits, breast cancer with mean at most worst in ten pairs of columns (every success obeys; distances in the range of all rows). Each line one process from the file, both cores, loading, checks and report included; one run, seed 1; medians are over all rows turned, also those beyond the radius a policy names. In brackets the least and the most of the seeds. Victims of the copies are convolutional networks on 700 digits, agreement is counted on 500 others."
    append(options.page, "Attacking", ["what", "bar", "figure", "n", "CPU s"], rows, note)
