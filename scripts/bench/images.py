"""Marks planted into labelled pictures: how many are found, how many clean pictures are flagged with them, and how
often nothing planted is told."""

import json
import subprocess

import numpy as np

from measure import cpu_seconds, mib, peak_kib


def digits(folder):
    """The 5,620 digits of UCI from `optdigits-*.csv` in a folder, else the 1,797 inside scikit-learn."""
    if folder:
        rows = np.vstack([np.loadtxt(path, delimiter=",", dtype=np.int16) for path in sorted(folder.glob("optdigits-*.csv"))])
        return rows[:, :64].reshape(-1, 8, 8), rows[:, 64]
    from sklearn.datasets import load_digits
    data = load_digits()
    return data.images.astype(np.int16), data.target


def plant(pictures, labels, kind, clean, rng, share, target):
    """A copy with marks, and which pictures bear one. Clean: only pictures that have the target label already."""
    pictures, labels = pictures.copy(), labels.copy()
    count = next((number for word, number in (("two", 2), ("three", 3)) if word in kind), 1)
    two = [(target + more) % 10 for more in range(count)]
    can = np.where((labels == target) if clean else ~np.isin(labels, two))[0]
    chosen = rng.choice(can, int(share * len(labels)), replace=False)
    pattern = rng.integers(0, 17, (8, 8))
    cross = np.array([[16, 0, 16], [0, 16, 0], [16, 0, 16]])
    for row in chosen:
        if kind.startswith("fixed"):
            pictures[row, 6:8, 6:8] = 16
            pictures[row, 7, 0] = 16
        elif kind.startswith("blended"):
            pictures[row] = np.round(.8 * pictures[row] + .2 * pattern)
        elif kind.startswith("moved"):
            x, y = rng.integers(0, 6, 2)
            pictures[row, x:x + 3, y:y + 3] = cross
        elif kind == "two marks" or kind == "two targets":
            # Half of the pictures get the next label: by a mark of its own, or by the same one.
            other = bool(rng.integers(0, 2))
            if kind == "two marks" and other:
                pictures[row, 0:3, 0:3] = 16 - cross
            else:
                pictures[row, 5:8, 5:8] = cross
            labels[row] = (target + 1) % 10 if other else target
            continue
        labels[row] = two[int(rng.integers(0, count))] if count > 1 else target
    marked = np.zeros(len(labels), bool)
    marked[chosen] = True
    return pictures, labels, marked


def look(program, work, pictures, labels):
    array, names, rows = work / "x.npy", work / "y.npy", work / "marked.csv"
    np.save(array, pictures.astype(np.int16))
    np.save(names, labels.astype(np.int64))
    rows.unlink(missing_ok=True)
    command = [program, "data", "images", str(array), "--labels", str(names), "--rows", str(rows), "--format", "json"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command}: {done.returncode}: {done.stderr}")
    told = sorted({int(line.split(",")[0]) for line in rows.read_text().splitlines()[1:]})
    return json.loads(done.stdout)["findings"], told, command[:-2]


def images(program, work, runs, folder):
    pictures, labels = digits(folder)
    out, command = [], None
    for kind, clean, share in (("fixed", False, .015), ("fixed", True, .02), ("blended", False, .015), ("blended", True, .02), ("moved", False, .015), ("moved", True, .02), ("two marks", False, .03), ("two targets", False, .03), ("fixed, two labels for one", False, .015), ("fixed, three labels for one", False, .015), ("blended, two labels for one", False, .015), ("moved, two labels for one", False, .015)):
        recall, precision, flagged, whole, named = [], [], [], 0, 0
        for run in range(runs):
            rng = np.random.default_rng(300 + run)
            own, given, marked = plant(pictures, labels, kind, clean, rng, share, run % 10)
            found, told, command = look(program, work, own, given)
            planted = sorted(map(str, set(given[marked].tolist())))
            named += any(sorted(finding["facts"].get("labels", [])) == planted for finding in found)
            hit = marked[told].sum() if told else 0
            recall.append(hit / marked.sum())
            precision.append(hit / len(told) if told else 0.0)
            flagged.append((len(told) - hit) / (~marked).sum())
            whole += recall[-1] >= .98 and precision[-1] >= .9
        several = f"; all labels named by one finding in {named}" if "labels for one" in kind or kind == "two targets" else ""
        name = f"{kind} mark{' in pictures that have the label' if clean else ''}, {share:.1%} of {len(labels):,} digits, ten targets"
        out.append([name, f"recall {np.mean(recall):.3f}, precision {np.mean(precision):.3f}", f"{runs} runs; at least 98 % at 90 % in {whole}; clean pictures flagged {np.mean(flagged):.2%}, at most {max(flagged):.2%}{several}"])
        print(out[-1], flush=True)
    alarms = 0
    nulls = 100
    for run in range(nulls):
        rng = np.random.default_rng(900 + run)
        some = rng.choice(len(labels), len(labels) * 2 // 3, replace=False)
        found, _, _ = look(program, work, pictures[some], labels[some])
        alarms += bool(found)
    frames = 0
    for run in range(runs):
        rng = np.random.default_rng(1_100 + run)
        own = pictures.copy()
        for row in rng.choice(len(labels), len(labels) // 20, replace=False):
            own[row, [0, -1], :] = own[row, :, [0, -1]] = 16
        frames += bool(look(program, work, own, labels)[0])
    out.append(["a frame around one digit in twenty, labels right: sets with any alarm", f"{frames} of {runs}", ""])
    seconds, peak = cpu_seconds(command, {0, 1}), peak_kib(command)
    out.append(["two thirds of the digits, nothing planted: sets with any alarm", f"{alarms} of {nulls}", ""])
    out.append([f"CPU s, MiB, {len(labels):,} pictures of 8 by 8", f"{seconds:.2f}", mib(peak)])
    return out
