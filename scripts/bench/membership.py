"""Membership by likelihood ratio on boosted trees and a perceptron: how many training rows are exposed, at what cost.

A part of `cargo xtask bench attack`; alone with `--part membership`."""

import json
import pickle
import subprocess

from measure import append, cpu_seconds

SEED = 1
ATTACKS = ("membership-threshold", "membership-shadow", "membership-relative", "membership-likelihood-ratio")


def prepare(work):
    """4,000 rows of 20 columns with a fifth of labels redrawn; 1,000 train the models, 1,000 are strangers."""
    import numpy as np
    import xgboost
    from onnxmltools.convert import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType
    from skl2onnx import to_onnx
    from sklearn.datasets import make_classification
    from sklearn.neural_network import MLPClassifier

    x, y = make_classification(4000, 20, n_informative=10, n_classes=2, flip_y=0.2, random_state=0)
    x, y = ((x - x.mean(0)) / x.std(0)).astype(np.float32)[:2000], y.astype(np.int64)[:2000]
    member = np.zeros(2000, bool)
    member[np.random.RandomState(7).permutation(2000)[:1000]] = True
    trees = xgboost.XGBClassifier(n_estimators=100, max_depth=4, learning_rate=0.1, n_jobs=1, random_state=100).fit(x[member], y[member])
    net = MLPClassifier((64, 64), alpha=0.0, batch_size=64, max_iter=80, n_iter_no_change=1000, random_state=100).fit(x[member], y[member])
    models = {"trees": convert_xgboost(trees, initial_types=[("x", FloatTensorType([None, 20]))]), "perceptron": to_onnx(net, x[:1], options={"zipmap": False})}
    for name, model in models.items():
        folder = work / name
        folder.mkdir()
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        (folder / "model.pickle").write_bytes(pickle.dumps(trees if name == "trees" else net))
        for table, rows in (("train", member), ("test", ~member)):
            lines = [",".join([*(f"{value:.9g}" for value in row), str(label)]) for row, label in zip(x[rows], y[rows], strict=True)]
            (folder / f"{table}.csv").write_text("\n".join([",".join([*(f"f{index}" for index in range(20)), "label"]), *lines]) + "\n")
    return list(models)


def run(options, work):
    rows = []
    for model in prepare(work):
        folder = str(work / model)
        subprocess.run([options.mantlet, "init", folder, "--decides", "a class", "--endpoint", "built-in", "--notify", "nobody", "--impact", "low"], stdin=subprocess.DEVNULL, check=True, capture_output=True)
        for attack in ATTACKS:
            report = work / "report.json"
            command = [options.mantlet, "attack", "run", folder, "--only", attack, "--seed", str(SEED), "--json", "--output", str(report)]
            seconds = cpu_seconds(command, {0, 1, 2})
            figures = {figure["name"]: figure["value"] for figure in json.loads(report.read_text())[0]["figures"]}
            shown = [f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]" for name, value in figures.items() if "curve" in name or "exposed" in name]
            rows.append([model, attack, *shown, f"{seconds:.2f}"])
    note = f"make_classification, 1,000 members and 1,000 strangers, 20 % of labels redrawn, seed {SEED}; XGBoost 100 x 4 and scikit-learn's perceptron 64-64. CPU of the whole process, shadows trained in it; one run each."
    append(options.page, "Attacking", ["model", "attack", "area under the curve", "exposed at 1 %", "exposed at 0.1 %", "CPU s"], rows, note)
