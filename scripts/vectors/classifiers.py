"""Writes crates/mantlet-model/tests/model/exports: small classifiers as scikit-learn, XGBoost and LightGBM
users export them, and what ONNX Runtime gives for a few rows.

Run in a virtual environment with `onnx`, `onnxruntime`, `skl2onnx`, `onnxmltools`, `scikit-learn`, `xgboost`
and `numpy`, from the project's folder:
    python scripts/vectors/classifiers.py
"""

import json
import pathlib

import numpy as np
import onnx
import onnxruntime as ort
from onnxmltools.convert import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as ToolsFloat
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (AdaBoostClassifier, ExtraTreesClassifier, GradientBoostingClassifier,
                              HistGradientBoostingClassifier, RandomForestClassifier)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier
import pandas as pd

FOLDER = pathlib.Path("crates/mantlet-model/tests/model/exports")
RANDOM = np.random.default_rng(5)


def blobs(classes, names=None):
    x = RANDOM.normal(size=(240, 4)).astype(np.float32)
    score = np.stack([np.sin(x[:, 0] * (k + 1)) + x[:, 1 + k % 3] * (1 - k) + 0.3 * RANDOM.normal(size=240)
                      for k in range(classes)], axis=1)
    y = score.argmax(axis=1)
    return x, (np.array(names)[y] if names else y)


def keep(name, model, feeds, found):
    data = model.SerializeToString()
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    out = {}
    for port, value in zip(session.get_outputs(), session.run(None, feeds)):
        if isinstance(value, list):
            value = np.array([[row[k] for k in row] for row in value])
        out[port.name] = {"shape": list(value.shape), "y": [v if isinstance(v, str) else
                          int(v) if isinstance(v, (int, np.integer)) else float(f"{v:.7g}")
                          for v in value.ravel().tolist()]}
    (FOLDER / f"{name}.onnx").write_bytes(data)
    inputs = {k: {"dtype": str(v.dtype) if v.dtype != object else "text", "shape": list(v.shape),
                  "x": [u if isinstance(u, (str, int)) else float(u) for u in v.ravel().tolist()]}
              for k, v in feeds.items()}
    found[name] = {"inputs": inputs, "outputs": out}


def main():
    FOLDER.mkdir(exist_ok=True)
    found = {}
    target = {"": 17, "ai.onnx.ml": 3}
    small = dict(n_estimators=5, max_depth=3, random_state=0)
    makers = {
        "logistic": (2, None, LogisticRegression()),
        "logistic-three": (3, ["no", "maybe", "yes"], LogisticRegression()),
        "logistic-rest": (3, None, OneVsRestClassifier(LogisticRegression())),
        "scaled-logistic": (2, ["bad", "good"], make_pipeline(StandardScaler(), LogisticRegression())),
        "minmax-mlp": (2, None, make_pipeline(MinMaxScaler(), MLPClassifier((8,), max_iter=40, random_state=0))),
        "mlp-three": (3, None, MLPClassifier((8, 6), activation="tanh", max_iter=40, random_state=0)),
        "tree": (3, ["a", "b", "c"], DecisionTreeClassifier(max_depth=4, random_state=0)),
        "forest": (2, None, RandomForestClassifier(**small)),
        "forest-three": (3, None, RandomForestClassifier(**small)),
        "extra": (3, None, ExtraTreesClassifier(**small)),
        "boosted": (2, None, GradientBoostingClassifier(**small)),
        "boosted-three": (3, None, GradientBoostingClassifier(**small)),
        "histogram": (2, None, HistGradientBoostingClassifier(max_iter=5, max_depth=3)),
        "bayes": (3, None, GaussianNB()),
        "svc": (2, None, SVC(probability=True, random_state=0)),
        "svc-three": (3, ["a", "b", "c"], SVC(probability=True, kernel="poly", random_state=0)),
        "svc-plain": (2, None, SVC()),
        "linear-svc": (3, None, LinearSVC()),
        "sgd": (2, None, SGDClassifier(loss="log_loss", random_state=0)),
        "discriminant": (3, None, LinearDiscriminantAnalysis()),
        "adaboost": (2, None, AdaBoostClassifier(n_estimators=4, random_state=0)),
    }
    for name, (classes, names, maker) in makers.items():
        x, y = blobs(classes, names)
        x, y = (x[:60], y[:60]) if name.startswith("svc") else (x, y)
        maker.fit(x, y)
        try:
            options = {}
            model = to_onnx(maker, initial_types=[("x", FloatTensorType([None, 4]))], target_opset=target)
        except Exception as error:
            print(name, "not exported:", str(error)[:80])
            continue
        keep(name, model, {"x": blobs(classes)[0][:12]}, found)
    x, y = blobs(3)
    for name, labels in (("xgboost", (y > 0).astype(int)), ("xgboost-three", y)):
        holes = x.copy()
        holes[RANDOM.random(holes.shape) < 0.1] = np.nan
        maker = XGBClassifier(n_estimators=4, max_depth=3).fit(holes, labels)
        model = convert_xgboost(maker, initial_types=[("input", ToolsFloat([None, 4]))], target_opset=15)
        rows = x[:12].copy()
        keep(name, model, {"input": rows}, found)
    n = 200
    table = pd.DataFrame({
        "age": RANDOM.integers(18, 80, n).astype(np.int64),
        "pay": RANDOM.normal(30, 9, n).astype(np.float32),
        "job": RANDOM.choice(["cook", "clerk", "pilot"], n),
        "town": RANDOM.choice(["Ulm", "Bonn"], n),
    })
    y = np.where(table["pay"] + (table["job"] == "pilot") * 20 - table["age"] / 5 > 25, ">50K", "<=50K")
    for name, last, encode in (
        ("columns", LogisticRegression(), OneHotEncoder(handle_unknown="ignore")),
        ("columns-forest", RandomForestClassifier(n_estimators=4, max_depth=3, random_state=0), OrdinalEncoder()),
    ):
        steps = ColumnTransformer([
            ("a", StandardScaler(), ["age"]),
            ("p", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["pay"]),
            ("c", encode, ["job", "town"]),
        ])
        maker = make_pipeline(steps, last).fit(table, y)
        types = [("age", Int64TensorType([None, 1])), ("pay", FloatTensorType([None, 1])),
                 ("job", StringTensorType([None, 1])), ("town", StringTensorType([None, 1]))]
        model = to_onnx(maker, initial_types=types, target_opset=target)
        rows = table[:10]
        feeds = {k: rows[[k]].to_numpy() if k in ("age", "pay") else rows[[k]].to_numpy(dtype=object)
                 for k in table.columns}
        keep(name, model, feeds, found)
    text = ",\n".join(f'{json.dumps(k)}: {json.dumps(v, separators=(",", ":"))}' for k, v in found.items())
    (FOLDER / "expected.json").write_text("{\n" + text + "\n}\n")
    print("opsets", onnx.__version__, len(found), "models,", sum(p.stat().st_size for p in FOLDER.iterdir()), "bytes")


main()
