"""Writes crates/mantlet-worker/tests/targets/forest: a random forest and boosted trees of scikit-learn as skl2onnx exports
them, rows of real data, and the smallest change of each row that turns it, computed by a solver of mixed integer programs
(HiGHS), which knows nothing of this project's search.

Run in a virtual environment with `scikit-learn`, `skl2onnx`, `scipy` and `numpy`, from the project's folder:
    python scripts/vectors/forest.py
The program is that of Kantchelian and others (2016): a 0-1 variable for each threshold, a share for each leaf.
"""

import json
import pathlib

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import train_test_split

FOLDER = pathlib.Path("crates/mantlet-worker/tests/targets/forest")
# The columns of the data that are read: means, as a person would choose them.
COLUMNS = [0, 1, 4, 6, 7, 9, 21, 27]
# As in the search: a margin that another order of summation does not undo.
CLEAR = 1e-5


def trees_of(model):
    """Each tree as (feature, threshold, left, right, value) lists; a value is what a leaf adds to class 1's margin."""
    if isinstance(model, RandomForestClassifier):
        found = []
        for tree in (t.tree_ for t in model.estimators_):
            share = tree.value[:, 0, :] / tree.value[:, 0, :].sum(1, keepdims=True)
            found.append((tree, (share[:, 1] - share[:, 0]) / len(model.estimators_)))
        return found, 0.0
    found = [(t.tree_, t.tree_.value[:, 0, 0] * model.learning_rate) for t in model.estimators_[:, 0]]
    prior = model.init_.class_prior_
    return found, float(np.log(prior[1] / prior[0]))


def smallest(model, row, low, high):
    """The least largest single change, in units of the columns' ranges, after which the other class is said."""
    trees, base = trees_of(model)
    label = int(model.predict(row[None])[0])
    sign = 1.0 if label == 0 else -1.0
    thresholds = sorted({(int(f), np.float32(t)) for tree, _ in trees
                         for f, t in zip(tree.feature, tree.threshold) if f >= 0})
    place = {key: at for at, key in enumerate(thresholds)}
    leaves = [(index, node) for index, (tree, _) in enumerate(trees) for node in range(tree.node_count)
              if tree.children_left[node] < 0]
    leaf_place = {key: len(thresholds) + at for at, key in enumerate(leaves)}
    size = len(thresholds) + len(leaves) + 1
    far = size - 1
    rows, lows, highs = [], [], []

    def add(terms, least, most):
        rows.append(terms)
        lows.append(least)
        highs.append(most)

    for (f, t), at in place.items():
        later = [key for key in thresholds if key[0] == f and key[1] > t]
        if later:
            add({at: 1.0, place[min(later)]: -1.0}, -np.inf, 0.0)
        width = high[f] - low[f]
        away = abs(float(row[f]) - float(t)) / width
        # Crossed when the variable says the other side of the threshold: that costs its distance.
        if np.float32(row[f]) > t:
            add({far: 1.0, at: -away}, 0.0, np.inf)
        else:
            add({far: 1.0, at: away}, away, np.inf)
    for index, (tree, _) in enumerate(trees):
        own = [node for node in range(tree.node_count) if tree.children_left[node] < 0]
        add({leaf_place[(index, node)]: 1.0 for node in own}, 1.0, 1.0)

        def below(node):
            if tree.children_left[node] < 0:
                return [node]
            return below(tree.children_left[node]) + below(tree.children_right[node])

        for node in range(tree.node_count):
            if tree.children_left[node] < 0:
                continue
            at = place[(int(tree.feature[node]), np.float32(tree.threshold[node]))]
            left = {leaf_place[(index, leaf)]: 1.0 for leaf in below(tree.children_left[node])}
            add({**left, at: -1.0}, -np.inf, 0.0)
            right = {leaf_place[(index, leaf)]: 1.0 for leaf in below(tree.children_right[node])}
            add({**right, at: 1.0}, -np.inf, 1.0)
    margin = {leaf_place[(index, node)]: sign * float(trees[index][1][node]) for index, node in leaves}
    add(margin, CLEAR - sign * base, np.inf)
    data = [(r, c, v) for r, terms in enumerate(rows) for c, v in terms.items()]
    r, c, v = zip(*data)
    matrix = coo_matrix((v, (r, c)), shape=(len(rows), size)).tocsr()
    goal = np.zeros(size)
    goal[far] = 1.0
    whole = np.zeros(size)
    whole[:len(thresholds)] = 1
    found = milp(goal, constraints=LinearConstraint(matrix, lows, highs), integrality=whole,
                 bounds=Bounds(np.zeros(size), np.ones(size)), options={"mip_rel_gap": 0.0})
    assert found.status == 0, found.message
    return label, float(found.x[far])


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    x, y = load_breast_cancer(return_X_y=True)
    x = x[:, COLUMNS].astype(np.float32)
    train, test, train_y, _ = train_test_split(x, y, test_size=0.3, random_state=5)
    low, high = train.min(0), train.max(0)
    test = np.clip(test, low, high)
    out = {"low": [float(v) for v in low], "high": [float(v) for v in high]}
    for name, model in (("random", RandomForestClassifier(25, max_depth=5, random_state=5)),
                        ("boosted", GradientBoostingClassifier(n_estimators=40, max_depth=3, random_state=5))):
        model.fit(train, train_y)
        file = to_onnx(model, train[:1], options={id(model): {"zipmap": False}}, target_opset={"": 17, "ai.onnx.ml": 3})
        del file.metadata_props[:]
        (FOLDER / f"{name}.onnx").write_bytes(file.SerializeToString())
        rows = test[:12]
        found = [smallest(model, row, low, high) for row in rows]
        out[name] = {"rows": [[float(v) for v in row] for row in rows], "labels": [label for label, _ in found],
                     "least": [float(f"{least:.7g}") for _, least in found]}
        print(name, len(file.SerializeToString()), "bytes;", out[name]["least"])
    (FOLDER / "expected.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
