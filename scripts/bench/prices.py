"""Models that give a score: copied, asked who they learned from, and moved. Boosted trees and a perceptron on Friedman's
first function with noise, from the file; the Adversarial Robustness Toolbox on the same rows where it takes a regressor.

A part of `cargo xtask bench attack`; alone with `--part prices`."""

import json
import os
import pathlib
import pickle
import subprocess
import sys
import time

import battery
from measure import append

# Attacks that move a score, with their settings; the score is to rise by its deviation over the rows.
MOVERS = {
    "evasion-pgd": {"norm": "linf", "epsilon": 0.15},
    "evasion-apgd": {"norm": "linf", "epsilon": 0.15},
    "evasion-square": {"epsilon": 0.15},
    "evasion-nes": {"norm": "linf", "epsilon": 0.15},
    "evasion-hop-skip-jump": {"radius": 0.5, "queries": 1800},
    "evasion-table-search": {"norm": "l2", "radius": 0.5},
    "evasion-tree-exact": {"radius": 0.15},
    "extraction-transfer": {"epsilon": 0.15},
}


def prepare(work, mantlet, seed):
    """2,000 rows of ten columns, half of them learned; noise of deviation 2 on a score of deviation 5."""
    import numpy as np
    import xgboost
    from onnxmltools.convert import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType
    from skl2onnx import to_onnx
    from sklearn.datasets import make_friedman1
    from sklearn.neural_network import MLPRegressor

    x, y = make_friedman1(2000, 10, noise=2.0, random_state=seed)
    x, y = x.astype(np.float32), y.astype(np.float32)
    member = np.zeros(2000, bool)
    member[np.random.RandomState(seed).permutation(2000)[:1000]] = True
    trees = xgboost.XGBRegressor(n_estimators=100, max_depth=4, learning_rate=0.1, n_jobs=1, random_state=seed).fit(x[member], y[member])
    net = MLPRegressor(hidden_layer_sizes=(64, 64), alpha=0.0, batch_size=64, max_iter=200, n_iter_no_change=1000, random_state=seed).fit(x[member], y[member])
    models = {"trees": (trees, convert_xgboost(trees, initial_types=[("x", FloatTensorType([None, 10]))])), "perceptron": (net, to_onnx(net, x[:1]))}
    found = {}
    for name, (model, exported) in models.items():
        folder = work / f"{name}-{seed}"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(exported.SerializeToString())
        for part, rows in (("train", member), ("test", ~member)):
            battery.table(folder / f"{part}.csv", [f"f{index}" for index in range(10)], x[rows], y[rows], "price")
        config = {"model": "model.onnx", "train": "train.csv", "test": "test.csv"}
        (folder / "mantlet.toml").write_text(f'[system]\nname = "prices"\nimpact = "low"\ndecides = "a price"\n\n[model]\npath = "{config["model"]}"\n\n[data]\ntrain = "{config["train"]}"\ntest = "{config["test"]}"\nlabel = "price"\n')
        (folder / "rows.pickle").write_bytes(pickle.dumps((model, x, y, member)))
        told = model.predict(x[~member])
        found[name] = (folder, float(np.std(told)), float(1 - np.var(y[~member] - told) / np.var(y[~member])))
    return found


def peer(folder):
    """ART's membership attack on a regressor, by an attack model that learned from half of the rows: one line of JSON."""
    import numpy as np
    from art.attacks.inference.membership_inference import MembershipInferenceBlackBox
    from art.estimators.regression import BlackBoxRegressor
    from sklearn.metrics import roc_auc_score, roc_curve

    model, x, y, member = pickle.loads((folder / "rows.pickle").read_bytes())
    wrapped = BlackBoxRegressor(lambda rows: np.asarray(model.predict(np.asarray(rows, np.float32))).reshape(-1, 1), input_shape=x.shape[1:])
    known = np.zeros(len(x), bool)
    for side in (member, ~member):
        places = np.flatnonzero(side)
        known[places[: len(places) // 2]] = True
    start = time.process_time()
    attack = MembershipInferenceBlackBox(wrapped, input_type="loss", attack_model_type="rf")
    attack.fit(x[known & member], y[known & member], x[known & ~member], y[known & ~member])
    scores = attack.infer(x[~known], y[~known], probabilities=True).reshape(-1)
    seconds = time.process_time() - start
    truth = member[~known]
    fpr, tpr, _ = roc_curve(truth, scores)
    print(json.dumps({"auc": float(roc_auc_score(truth, scores)), "at": [float(tpr[fpr <= share].max()) for share in (0.01, 0.001)], "seconds": seconds}))


def asked(mantlet, folder, attack, words, settings=None):
    """One attack in a process of its own: its report, and the CPU seconds of the whole process."""
    output = folder / "report.json"
    command = [mantlet, "attack", "run", str(folder), "--only", attack, "--seed", "1", "--json", "--output", str(output), *words]
    command += [word for key, value in (settings or {}).items() for word in ("--set", f"{key}={json.dumps(value)}")]
    before = os.times()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    after = os.times()
    if done.returncode not in (0, 1, 2):
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return json.loads(output.read_text())[0], after.children_user + after.children_system - before.children_user - before.children_system


def interval(value):
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"


def run(options, work):
    copies, members, moves = [], [], []
    for seed in (1,) if options.quick else (1, 2, 3):
        for name, (folder, spread, fit) in prepare(work, options.mantlet, seed).items():
            report, seconds = asked(options.mantlet, folder, "extraction-score-copy", ["--price", "0.002"])
            curve = report["curve"]
            first = next((point["queries"] for point in curve if point["fidelity"]["value"] >= 0.9), None)
            by = {point["queries"]: point for point in curve}
            shown = [f"{interval(by[count]['fidelity'])}; {by[count]['rank']['value']:.3f}" if count in by else "" for count in (100, 250, 600)]
            copies.append([f"{name}, seed {seed}", *shown, first or "not reached", f"{0.002 * first:.2f}" if first else "", f"{seconds:.2f}"])
            print(copies[-1], flush=True)
            for attack in ("membership-threshold", "membership-shadow", "membership-likelihood-ratio"):
                report, seconds = asked(options.mantlet, folder, attack, ["--scores"])
                figures = [interval(figure["value"]) for figure in report["figures"] if "curve" in figure["name"] or "exposed" in figure["name"]]
                members.append([f"{name}, seed {seed}", f"mantlet {attack}", *figures, len(report["facts"].get("members-at-risk", [])), f"{seconds:.2f}"])
                print(members[-1], flush=True)
            done = subprocess.run([sys.executable, "-B", str(pathlib.Path(__file__).resolve()), str(folder)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode:
                members.append([f"{name}, seed {seed}", "ART, attack model on losses", f"failed: {(done.stderr.strip().splitlines() or ['no word'])[-1]}"[:90], "", "", "", ""])
            else:
                said = json.loads(done.stdout.splitlines()[-1])
                members.append([f"{name}, seed {seed}", "ART, attack model on losses (half of the rows known to it)", f"{said['auc']:.3f}", f"{said['at'][0]:.3f}", f"{said['at'][1]:.3f}", "none", f"{said['seconds']:.2f}"])
            if seed > 1:
                continue
            for attack, settings in MOVERS.items():
                if (name == "trees") == (attack in ("evasion-pgd", "evasion-apgd")) or (name != "trees" and attack == "evasion-tree-exact"):
                    continue
                report, seconds = asked(options.mantlet, folder, attack, ["--score-moves", f"{spread:.3f}", "--rows", "50"], settings)
                if report.get("not_examined"):
                    moves.append([name, attack, f"not examined: {report['not_examined']['why']}"[:90], "", "", "", ""])
                    continue
                won = [row for row in report["outcome"]["rows"] if row["state"] == "hit"]
                l2 = sorted(row["distances"]["l2"] for row in won if row.get("distances"))
                each = sum(row["queries"] for row in report["outcome"]["rows"]) / max(1, report["n"])
                moves.append([name, attack, json.dumps(settings), f"{len(won)} of {report['n']} ({interval(report['success'])})", f"{l2[len(l2) // 2]:.3f}" if l2 else "", f"{each:.0f}", f"{seconds:.2f}"])
                print(moves[-1], flush=True)
    about = "Friedman's first function, ten columns, noise of deviation 2; 1,000 rows learned, 1,000 strangers; XGBoost 100 x 4 and scikit-learn's perceptron 64-64, from the file. Intervals of 95 %."
    append(options.page, "Attacking", ["copy of a score", "R2; rank agreement at 100", "at 250", "at 600", "questions to R2 0.9", "at 0.002 each", "CPU s"], copies, f"{about} The thief has 60 rows and mixes them; the copy is measured on the held-out rows it did not begin with.")
    append(options.page, "Attacking", ["members of a score", "who", "area under the curve", "exposed at 1 %", "exposed at 0.1 %", "named", "CPU s"], members, f"{about} CPU of the whole process, shadows trained in it; of ART the attack alone.")
    append(options.page, "Attacking", ["a score moved", "attack", "settings", "moved", "median L2", "rows asked for each", "CPU s"], moves, f"{about} The score is to rise by its deviation over held-out rows; the first 50 of them, seed 1.")


if __name__ == "__main__":
    peer(pathlib.Path(sys.argv[1]))
