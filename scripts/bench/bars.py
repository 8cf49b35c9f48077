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


def alone(mantlet, folder, attack, settings, rows, each=False):
    """One attack without loading and report, on one thread: what the example tells."""
    example = pathlib.Path(mantlet).parent / "examples" / "alone"
    command = [str(example), str(folder / "model.onnx"), str(folder / "test.csv"), attack, json.dumps(settings), str(rows), *(["--each"] if each else [])]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return json.loads(done.stdout)


def exact(mantlet, folder, what, rows, line):
    """The slowest row of the exact search."""
    found = alone(mantlet, folder, "evasion-tree-exact", {"radius": 0.3}, rows, True)
    each = sorted(found["each"])
    line(f"exact smallest Linf of {what}: median and slowest row, one thread, no rules", "1 s", f"{each[len(each) // 2]:.3f} s; {each[-1]:.2f} s ({found['hits']} turned, {found['proved']} with a proved bound)", found["rows"], f"{found['seconds']:.2f}")


def forests(work):
    """Random forests on the rows of the boosted trees."""
    import numpy as np
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier

    rows = np.loadtxt(work / "gbdt" / "train.csv", delimiter=",", skiprows=1, dtype=np.float32)
    for count, depth in ((20, 6), (50, 6)):
        forest = RandomForestClassifier(count, max_depth=depth, random_state=0, n_jobs=1).fit(rows[:, :-1], rows[:, -1].astype(int))
        folder = work / f"forest-{count}"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(to_onnx(forest, rows[:1, :-1], options={"zipmap": False}).SerializeToString())
        (folder / "test.csv").write_text((work / "gbdt" / "test.csv").read_text())
        yield f"a random forest {count} x {depth}", folder


def shared(source, work, mantlet):
    """The models and rows of an earlier comparison, each as a folder."""
    import numpy as np
    import torch

    data = np.load(next(path for path in (source / "eval_rows.npz", source / "models" / "eval_rows.npz") if path.is_file()))
    for name, kind, label in (("cnn_std", "digits", "digit"), ("cnn_at", "digits", "digit"), ("cnn_masked", "digits", "digit"), ("mlp", "bc", "label"), ("gbdt", "bc", "label")):
        folder = work / name
        folder.mkdir()
        file = f"{name}_bc" if kind == "bc" else name
        (folder / "model.onnx").write_bytes((source / "models" / f"{file}.onnx").read_bytes())
        names = [f"{'p' if kind == 'digits' else 'c'}{index}" for index in range(data[f"{kind}_xte"][0].size)]
        for part, short in (("train", "tr"), ("test", "te")):
            battery.table(folder / f"{part}.csv", names, data[f"{kind}_x{short}"], data[f"{kind}_y{short}"], label)
        battery.system(mantlet, folder, "a class")
    low, high = data["bc_lo"], data["bc_hi"]
    rules = {"relations": [{"relation": "at-most", "terms": [[f"c{at}", float(high[at] - low[at])], [f"c{at + 20}", -float(high[at + 20] - low[at + 20])]], "bound": float(low[at + 20] - low[at])} for at in range(10)]}
    (work / "rules.json").write_text(json.dumps(rules))
    weights = torch.load(source / "models" / "mlp_bc.pt", map_location="cpu")
    torch.save({f"{layer}.{kind}": weights[f"l{at + 1}.{kind}"] for at, layer in enumerate((0, 2, 4)) for kind in ("weight", "bias")}, work / "mlp.weights")


def lines(mantlet, work, line):
    """The bars on one set of models and rows."""
    for queries, bar in ((1800, "0.75"), (6500, "0.60")):
        found = measured(mantlet, work / "cnn_std", "evasion-hop-skip-jump", 10, {"queries": queries})
        line(f"HopSkipJump, median L2 at {queries:,} queries", bar, f"{found['l2']:.3f} (most queries for a row {found['most']:,})", found["n"], f"{found['seconds']:.2f}")
        found = alone(mantlet, work / "cnn_std", "evasion-hop-skip-jump", {"queries": queries}, 10)
        line(f"HopSkipJump at {queries:,} queries, ten rows: CPU s beside the model's own", "0.4", f"{found['seconds'] - found['model']:.3f} (model {found['model']:.3f})", found["rows"], f"{found['seconds']:.2f}")
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
    line("exact smallest Linf of boosted trees 100 x 4 with rules, mean of rows", "1 s", f"{found['seconds'] / max(1, found['n']):.2f} s", found["n"], f"{found['seconds']:.2f}")
    exact(mantlet, work / "gbdt", "boosted trees 100 x 4", 100, line)


def run(options, work):
    mantlet, rows = options.mantlet, []
    battery.prepare(work, mantlet)

    def line(what, bar, figure, n, seconds):
        rows.append([what, bar, figure, n, seconds])
        print(rows[-1], flush=True)

    lines(mantlet, work, line)
    for what, folder in forests(work):
        exact(mantlet, folder, what, 20 if options.quick else 50, line)
    if options.shared:
        other = work / "shared"
        other.mkdir()
        line("**the same on the files of the earlier comparison**", "", "", "", "")
        shared(pathlib.Path(options.shared), other, mantlet)
        lines(mantlet, other, line)
    for what, first, count in (("seeds 4 to 9", 4, 2 if options.quick else 6), ("seeds 1 to 3, which the way was chosen on", 1, 1 if options.quick else 3)):
        found = copies(mantlet, first, count)
        line(f"copy from 60 pictures, 250 labels: agreement, median of {what}", "0.88; stretch 0.93", f"{statistics.median(found):.3f} [{min(found):.3f}, {max(found):.3f}]", len(found), "")
    note = "The models and rows of the literature's comparison: digits, breast cancer with mean at most worst in ten pairs of columns (every success obeys; distances in the range of all rows). Each line one process from the file, both cores, loading, checks and report included; one run, seed 1; medians are over all rows turned, also those beyond the radius a policy names. In brackets the least and the most of the seeds. Victims of the copies are convolutional networks on 700 digits, agreement is counted on 500 others."
    append(options.page, "Attacking", ["what", "bar", "figure", "n", "CPU s"], rows, note)
