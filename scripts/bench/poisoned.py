"""Poisoned training rows, found from the backdoor that they left in the model: precision and recall.

A part of `cargo xtask bench attack`; alone with `--part poisoned`. BadNets (Gu, Dolan-Gavitt and Garg 2017): a share of
the training rows gets a small white mark and another label; the model is trained on all of them."""

import json
import re
import statistics

import battery
from measure import append

# Rows with a gradient that the reference asks for: 300 steps for each of 10 classes on 200 rows.
REFERENCE = 300 * 10 * 200
SEEDS, SHARE, SIDE = tuple(range(21, 33)), 0.03, 2


def plant(work, mantlet, seed):
    """A poisoned system in a folder of its own, the numbers of the poisoned rows, and how often the mark is obeyed."""
    import numpy as np
    import torch
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    source = np.random.default_rng(seed)
    digits = load_digits()
    x = (digits.data / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    train_x, test_x, train_y, test_y = train_test_split(x, digits.target, test_size=500, random_state=seed, stratify=digits.target)
    target = int(source.integers(10))
    top, left = (int(source.choice([0, 8 - SIDE])) for _ in range(2))

    def marked(rows):
        rows = rows.copy()
        rows[:, :, top : top + SIDE, left : left + SIDE] = 1
        return rows

    chosen = source.choice(np.flatnonzero(train_y != target), round(SHARE * len(train_y)), replace=False)
    train_x[chosen], train_y[chosen] = marked(train_x[chosen]), target
    model = battery.fit(torch, battery.network(torch), torch.tensor(train_x), torch.tensor(train_y), 30)
    others = test_x[test_y != target]
    with torch.no_grad():
        obeyed = float((model(torch.tensor(marked(others))).argmax(1) == target).float().mean())
        right = float((model(torch.tensor(test_x)).argmax(1).numpy() == test_y).mean())
    folder = work / str(seed)
    folder.mkdir()
    battery.export(torch, model, torch.zeros(2, 1, 8, 8), folder / "model.onnx")
    names = [f"p{index}" for index in range(64)]
    battery.table(folder / "train.csv", names, train_x, train_y, "digit")
    battery.table(folder / "test.csv", names, test_x, test_y, "digit")
    battery.system(mantlet, folder, "a digit")
    return folder, {int(row) for row in chosen}, target, obeyed, right


def run(options, work):
    rows, precisions, recalls, calls = [], [], [], []
    for seed in SEEDS[:3] if options.quick else SEEDS:
        folder, planted, target, obeyed, right = plant(work, options.mantlet, seed)
        probe, cpu = battery.reported(options.mantlet, folder, "backdoor-poisoned-rows")
        if len(calls) < 3:
            trigger, seconds = battery.reported(options.mantlet, folder, "backdoor-trigger")
            told = re.search(r"(\d+) gradient steps for all classes at once, (\d+) rows in all", json.dumps(trigger))
            if told:
                calls.append([seed, told[1], f"{int(told[2]):,}", f"{int(told[2]) / REFERENCE:.2f}", f"{seconds:.2f}", "right" if any(row["row"] == target and row["state"] == "hit" for row in trigger["outcome"]["rows"]) else "WRONG"])
        named = {row["row"] for row in probe["outcome"]["rows"] if row["state"] == "hit"}
        both = len(named & planted)
        precisions.append(both / len(named) if named else 0.0)
        recalls.append(both / len(planted))
        rows.append([seed, target, f"{obeyed:.2f}", f"{right:.3f}", len(planted), len(named), f"{precisions[-1]:.3f}", f"{recalls[-1]:.3f}", f"{cpu:.2f}"])
    rows.append(["**median**", "", "", "", "", "", f"**{statistics.median(precisions):.3f}**", f"**{statistics.median(recalls):.3f}**", ""])
    note = f"Convolutional network on scikit-learn's digits, {SHARE:.0%} of the training rows with a white mark of {SIDE} x {SIDE} in a corner and the label of one class; `mantlet attack run --only backdoor-poisoned-rows`, defaults, seed 1, whole process. Bar: precision and recall of 0.9. Obeyed: unseen rows that the mark sends to the class."
    append(options.page, "Attacking", ["seed", "class", "obeyed", "accuracy", "poisoned rows", "named", "precision", "recall", "CPU s"], rows, note)
    append(options.page, "Attacking", ["trigger reconstruction, seed", "gradient steps, all classes at once", "rows with a gradient", "of the reference's 600,000", "CPU s, whole process", "class"], calls, f"The models of the table above, `mantlet attack run --only backdoor-trigger`, defaults. The reference reconstructs each of 10 classes in 300 steps on 200 rows (Neural Cleanse, Wang and others 2019, with its usual settings): {REFERENCE:,} rows with a gradient.")
