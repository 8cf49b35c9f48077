"""What the guard sees of attacks as they come: the streams of a theft and of attacks on decisions and scores, kept by
`mantlet attack run --keep` and replayed through the folder's guard, and ordinary rows beside them.

A part of `cargo xtask bench attack`; alone with `--part streams`."""

import json
import re
import statistics
import subprocess

import battery
from measure import append

ATTACKS = {
    "extraction-query-copy": {"strategy": "mixed", "queries": 600},
    "extraction-query-copy, noise": {"strategy": "noise", "queries": 600},
    "extraction-active": {"queries": 250},
    "evasion-hop-skip-jump": {"queries": 1800, "radius": 1.5},
    "evasion-square": {"epsilon": 0.15, "queries": 1000},
    "evasion-nes": {"norm": "linf", "epsilon": 0.15, "queries": 1000},
    "evasion-boundary": {"queries": 1800, "radius": 1.5},
    "evasion-simba": {"queries": 1000, "norm": "l2", "epsilon": 1.5},
}
# Rows of one ordinary caller.
CALLER = 100


def replayed(mantlet, folder, traces):
    """Each trace: rows, first marked, first withheld, withheld in all, first success."""
    command = [mantlet, "attack", "replay", "--folder", str(folder), "--traces", str(traces)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode not in (0, 1, 2):
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    told = r"(\d+) rows, marked (?:at query (\d+)|never), withheld (?:at query (\d+)|never) \((\d+) in all\), first success (?:at query (\d+)|never)"
    return [[int(part) if part else None for part in found] for found in re.findall(told, done.stdout + done.stderr)], done.stdout


def ordinary(folder, traces, kept):
    """Held-out rows as callers of a hundred rows each, in a fixed order; in what form rows stand is read off a kept trace."""
    lines = (folder / "test.csv").read_text().splitlines()[1:]
    (traces / "traces").mkdir(parents=True)
    count = 0
    for start in range(0, len(lines), CALLER):
        rows = [json.dumps({"trace": 1, "case": f"ordinary-{start}", "attack": "none"})]
        for line in lines[start : start + CALLER]:
            row = json.loads(kept)
            fields = [float(value) for value in line.split(",")]
            row["inputs"][0]["value"]["data"] = fields[:-1]
            row.update(label=int(fields[-1]), margin=None, success=False)
            rows.append(json.dumps(row))
            count += 1
        (traces / "traces" / f"ordinary-{start:05}.jsonl").write_text("\n".join(rows) + "\n")
    return count


def prepare(work, mantlet):
    """A CNN on digits and a perceptron on a table of 20 columns, each with many held-out rows."""
    import numpy as np
    import torch
    from sklearn.datasets import load_digits, make_classification
    from sklearn.model_selection import train_test_split

    torch.set_num_threads(1)
    digits = load_digits()
    x = (digits.data / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    pictures = train_test_split(x, digits.target, test_size=897, random_state=0, stratify=digits.target)
    x, y = make_classification(8000, 20, n_informative=10, n_classes=2, random_state=0)
    x = x.astype(np.float32)
    x = (x - x.min(0)) / (x.max(0) - x.min(0))
    rows = train_test_split(x, y, test_size=5000, random_state=0, stratify=y)
    folders = {}
    for name, (train_x, test_x, train_y, test_y), epochs in (("digits", pictures, 30), ("table", rows, 20)):
        torch.manual_seed(0)
        net = battery.network(torch) if name == "digits" else torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2))
        model = battery.fit(torch, net, torch.tensor(train_x), torch.tensor(train_y), epochs)
        folder = work / name
        folder.mkdir()
        battery.export(torch, model, torch.tensor(test_x[:2]), folder / "model.onnx")
        names = [f"p{index}" for index in range(test_x[0].size)]
        battery.table(folder / "train.csv", names, train_x, train_y, "label")
        battery.table(folder / "test.csv", names, test_x, test_y, "label")
        battery.system(mantlet, folder, "a class")
        folders[name] = folder
    return folders


def run(options, work):
    rows = []
    for name, folder in prepare(work, options.mantlet).items():
        form = None
        for attack, settings in ATTACKS.items():
            kept = folder / "kept"
            subprocess.run(["rm", "-rf", str(kept)], check=True)
            own = attack.split(",")[0]
            command = [options.mantlet, "attack", "run", str(folder), "--only", own, "--seed", "1", "--rows", "10", "--keep", str(kept), "--json", "--output", str(folder / "report.json")]
            command += [word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}")]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode not in (0, 1, 2):
                raise SystemExit(f"{' '.join(command)}: {done.stderr}")
            found, said = replayed(options.mantlet, folder, kept) if (kept / "traces").is_dir() else ([], "")
            if found and form is None:
                form = next((kept / "traces").glob("*.jsonl")).read_text().splitlines()[1]
            for count, marked, withheld, _, success in found:
                share = f"{withheld / count:.1%}" if withheld else "never"
                signals = said.splitlines()[0].rsplit("(", 1)[-1].rstrip(")") if said else ""
                rows.append([name, attack, count, marked or "never", withheld or "never", share, success or "none", signals])
                print(rows[-1], flush=True)
            if not found:
                rows.append([name, attack, "no hit, no stream kept", "", "", "", "", ""])
        if form is None:
            continue
        count = ordinary(folder, folder / "benign", form)
        found, _ = replayed(options.mantlet, folder, folder / "benign")
        blocked, callers = sum(one[3] for one in found), sum(1 for one in found if one[2])
        rows.append([name, f"ordinary rows, callers of {CALLER}", count, sum(1 for one in found if one[1]), f"{blocked} rows of {callers} callers", f"{blocked / count:.2%}", "", ""])
        print(rows[-1], flush=True)
    shares = [float(row[5].rstrip("%")) for row in rows if str(row[5]).endswith("%") and "ordinary" not in row[1]]
    middle = f"Median share until the first answer is withheld: {statistics.median(shares):.1f} %." if shares else ""
    note = f"One caller asks an attack's whole stream (ten rows attacked, defaults beside the settings in the script, seed 1) of a guard that enforces, with the profile learned from the training rows and no rule pinned. Bar: withheld within 5 % of what the attack asks, at most 0.1 % of ordinary rows. For ordinary rows the columns are rows, callers marked, rows withheld and their share. {middle}"
    append(options.page, "Attacking", ["model", "stream", "rows asked", "first marked", "first withheld", "share of the attack's questions", "first success", "signals"], rows, note)
