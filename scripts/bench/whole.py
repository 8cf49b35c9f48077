"""The whole battery on one small model, one command and one report: how long it takes on this machine.

A part of `cargo xtask bench attack`; alone with `--part whole`."""

import json
import os
import subprocess
import time

import battery
from measure import append

# Seconds within which a whole battery is to end on two cores.
BAR = 300


def prepare(work, mantlet):
    """A convolutional network on digits, as a user has it: a file, training rows and held-out rows."""
    import numpy as np
    import torch
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    torch.set_num_threads(1)
    torch.manual_seed(0)
    digits = load_digits()
    x = (digits.data / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    train_x, test_x, train_y, test_y = train_test_split(x, digits.target, test_size=500, random_state=0, stratify=digits.target)
    model = battery.fit(torch, battery.network(torch), torch.tensor(train_x), torch.tensor(train_y), 30)
    folder = work / "digits"
    folder.mkdir()
    battery.export(torch, model, torch.zeros(2, 1, 8, 8), folder / "model.onnx")
    names = [f"p{index}" for index in range(64)]
    battery.table(folder / "train.csv", names, train_x, train_y, "digit")
    battery.table(folder / "test.csv", names, test_x, test_y, "digit")
    battery.system(mantlet, folder, "a digit")
    return folder


def run(options, work):
    battery_of(options, work, prepare(work, options.mantlet), [], "Convolutional network on scikit-learn's digits")
    tables = work / "tables"
    tables.mkdir()
    battery.prepare(tables, options.mantlet)
    battery_of(options, work, tables / "gbdt", ["--constraints", str(tables / "rules.json")], "Boosted trees 100 x 4 on breast cancer, 30 columns, mean at most worst in ten pairs of them")


def battery_of(options, work, folder, words, about):
    """Everything on one model: a table of its own."""
    report = work / "report.json"
    command = [options.mantlet, "attack", "run", str(folder), "--all", "--seed", "1", "--json", "--output", str(report), *words]
    begin, before = time.monotonic(), os.times()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    seconds, after = time.monotonic() - begin, os.times()
    if done.returncode not in (0, 1, 2):
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    probes = json.loads(report.read_text())
    skipped = [probe for probe in probes if probe.get("not_examined")]
    hit = sum(1 for probe in probes if probe["counts"]["hit"])
    slowest = sorted(probes, key=lambda probe: -probe["millis"])[:5]
    rows = [
        ["attacks and probes run", len(probes)],
        ["with a hit", hit],
        ["not examined, with the reason in the report", len(skipped)],
        ["wall s", f"{seconds:.1f} (bar {BAR})"],
        ["CPU s", f"{cpu:.1f}"],
        ["longest", ", ".join(f"{probe['probe']} {probe['millis'] / 1000:.1f} s" for probe in slowest)],
        ["peers", "no one command: ART and Foolbox are libraries, and have no report over attacks"],
    ]
    note = f"{about} ({len(probes)} probes of `mantlet attack run --all`, defaults, seed 1), one JSON report; not examined: {'; '.join(sorted({probe['probe'] for probe in skipped})) or 'none'}."
    append(options.page, "Attacking", ["whole battery on one small model", "figure"], rows, note)
