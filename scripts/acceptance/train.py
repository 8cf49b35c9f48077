"""Trains ordinary models on public tables and writes each into a folder as a user would have it."""

import json
import pathlib
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

SEED = 7
ADULT = [
    "age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship",
    "race", "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country", "income",
]


def adult(data):
    """Census rows; a sample, so that training takes seconds."""
    table = pd.read_csv(data / "adult" / "adult.data", header=None, names=ADULT, skipinitialspace=True, keep_default_na=False)
    return table.sample(8000, random_state=SEED).reset_index(drop=True)


def german(data):
    """Credit rows; `none` and the like are categories, not missing cells."""
    table = pd.read_csv(data / "german-credit" / "german_credit.csv", keep_default_na=False)
    table.columns = [column.strip().replace(" ", "_") for column in table.columns]
    return table


def optdigits(data):
    """8x8 digits: 64 counts and the class."""
    read = lambda name: pd.read_csv(data / "optdigits" / name, header=None)
    train, test = read("optdigits-train.csv"), read("optdigits-test.csv")
    for table in (train, test):
        table.columns = [f"p{index}" for index in range(64)] + ["digit"]
    return train, test


def encoded(table, label):
    """Words as whole numbers, as many a notebook does it."""
    out = table.copy()
    for column in out.columns:
        if column != label and not pd.api.types.is_numeric_dtype(out[column]):
            out[column] = pd.Categorical(out[column]).codes
    return out


def write_folder(folder, train, test, packages):
    """The tables and the lock file beside the model."""
    folder.mkdir(parents=True, exist_ok=True)
    train.to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    frozen = subprocess.run([sys.executable, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    wanted = [line for line in frozen.splitlines() if line.split("==")[0].lower() in packages]
    (folder / "requirements.txt").write_text("\n".join(wanted) + "\n")


def note(folder, **facts):
    """What the run later compares with, outside the user's folder: rows and what the model's own library answers."""
    expected = folder.parent / "expected"
    expected.mkdir(exist_ok=True)
    (expected / f"{folder.name}.json").write_text(json.dumps(facts))


def one_tensor(name, folder, model, table, label, classes_as):
    """A scikit-learn classifier over one float tensor, exported with its ZipMap."""
    from skl2onnx import to_onnx

    train, test = train_test_split(table, test_size=0.25, random_state=SEED, stratify=table[label])
    features = [column for column in table.columns if column != label]
    x, y = train[features].to_numpy(np.float32), train[label].astype(classes_as).to_numpy()
    model.fit(x, y)
    write_folder(folder, train, test, {"scikit-learn", "numpy", "scipy", "joblib", "skl2onnx", "onnx"})
    onnx_model = to_onnx(model, x[:1], target_opset=17, options={"zipmap": True})
    (folder / "model.onnx").write_bytes(onnx_model.SerializeToString())
    rows = test[features].to_numpy(np.float32)[:20]
    note(folder, kind="tensor", rows=rows.tolist(), labels=[str(value) for value in model.predict(rows)])
    return f"{name}: accuracy {model.score(test[features].to_numpy(np.float32), test[label].astype(classes_as)):.3f}"


def by_column(folder, data):
    """A pipeline over named columns, words included: one ONNX input for each column."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    table = adult(data)[["age", "workclass", "education_num", "marital_status", "hours_per_week", "capital_gain", "income"]]
    train, test = train_test_split(table, test_size=0.25, random_state=SEED, stratify=table["income"])
    words, numbers = ["workclass", "marital_status"], ["age", "education_num", "hours_per_week", "capital_gain"]
    columns = ColumnTransformer([("w", OneHotEncoder(handle_unknown="ignore", sparse_output=False), words), ("n", StandardScaler(), numbers)])
    model = Pipeline([("columns", columns), ("model", GradientBoostingClassifier(n_estimators=40, max_depth=3, random_state=SEED))])
    features = [column for column in table.columns if column != "income"]
    model.fit(train[features], train["income"])
    kind = lambda column: StringTensorType([None, 1]) if column in words else FloatTensorType([None, 1])
    onnx_model = convert_sklearn(model, initial_types=[(column, kind(column)) for column in features], target_opset=17)
    write_folder(folder, train, test, {"scikit-learn", "numpy", "scipy", "skl2onnx", "onnx", "pandas"})
    (folder / "model.onnx").write_bytes(onnx_model.SerializeToString())
    rows = test[features].head(20)
    note(folder, kind="columns", columns={c: rows[c].tolist() for c in features}, words=words, labels=[str(v) for v in model.predict(rows)])
    return f"adult-pipeline: accuracy {model.score(test[features], test['income']):.3f}"


def xgboost(folder, data):
    """XGBoost, exported by onnxmltools."""
    import xgboost as xgb
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    table = encoded(german(data), "default")
    train, test = train_test_split(table, test_size=0.25, random_state=SEED, stratify=table["default"])
    features = [column for column in table.columns if column != "default"]
    model = xgb.XGBClassifier(n_estimators=60, max_depth=4, learning_rate=0.2, random_state=SEED, n_jobs=1)
    model.fit(train[features].to_numpy(np.float32), train["default"])
    onnx_model = convert_xgboost(model, initial_types=[("input", FloatTensorType([None, len(features)]))], target_opset=15)
    write_folder(folder, train, test, {"xgboost", "numpy", "scipy", "onnxmltools", "onnx"})
    (folder / "model.onnx").write_bytes(onnx_model.SerializeToString())
    rows = test[features].to_numpy(np.float32)[:20]
    note(folder, kind="tensor", rows=rows.tolist(), labels=[str(value) for value in model.predict(rows)])
    return f"german-xgboost: accuracy {model.score(test[features].to_numpy(np.float32), test['default']):.3f}"


def pickle_only(folder, data):
    """A joblib file and nothing that could be probed."""
    table = encoded(german(data), "default")
    features = [column for column in table.columns if column != "default"]
    model = RandomForestClassifier(n_estimators=20, max_depth=6, random_state=SEED).fit(table[features], table["default"])
    write_folder(folder, table.head(750), table.tail(250), {"scikit-learn", "numpy", "scipy", "joblib"})
    joblib.dump(model, folder / "model.joblib")
    return "german-joblib: a joblib file only"


def hostile(folder, data):
    """A joblib-like pickle that runs a harmless command when it is loaded: take-in must find it."""
    import os
    import pickle

    class Runs:
        def __reduce__(self):
            return (os.system, ("true",))

    table = encoded(german(data), "default")
    write_folder(folder, table.head(750), table.tail(250), {"numpy"})
    (folder / "model.pkl").write_bytes(pickle.dumps({"weights": [1.0, 2.0], "hook": Runs()}))
    return "hostile-pickle: a pickle with a command in it"


def torch_models(folder_mlp, folder_cnn, data):
    """An MLP by torch's older exporter and a CNN by its newer one."""
    import torch

    torch.manual_seed(SEED)
    torch.set_num_threads(2)

    def fit(model, x, y, epochs, rate):
        optimiser = torch.optim.Adam(model.parameters(), lr=rate)
        for _ in range(epochs):
            order = torch.randperm(len(x))
            for part in order.split(64):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(model(x[part]), y[part]).backward()
                optimiser.step()
        return model.eval()

    table = encoded(german(data), "default")
    train, test = train_test_split(table, test_size=0.25, random_state=SEED, stratify=table["default"])
    features = [column for column in table.columns if column != "default"]
    x = torch.tensor(train[features].to_numpy(np.float32))
    mean, spread = x.mean(0), x.std(0).clamp_min(1e-6)

    class Credit(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", mean)
            self.register_buffer("spread", spread)
            self.layers = torch.nn.Sequential(torch.nn.Linear(len(features), 32), torch.nn.ReLU(), torch.nn.Linear(32, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))

        def forward(self, row):
            return self.layers((row - self.mean) / self.spread)

    mlp = fit(Credit(), x, torch.tensor(train["default"].to_numpy()), 20, 3e-3)
    write_folder(folder_mlp, train, test, {"torch", "numpy", "onnx", "onnxscript"})
    torch.onnx.export(mlp, (x[:2],), str(folder_mlp / "model.onnx"), input_names=["row"], output_names=["logits"], dynamo=False, dynamic_axes={"row": {0: "N"}, "logits": {0: "N"}})
    rows = test[features].to_numpy(np.float32)[:20]
    labels = mlp(torch.tensor(rows)).argmax(1).tolist()
    note(folder_mlp, kind="tensor", rows=rows.tolist(), labels=[str(value) for value in labels])

    train, test = optdigits(data)
    pixels = [column for column in train.columns if column != "digit"]

    class Digits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(1, 8, 3, padding=1)
            self.second = torch.nn.Conv2d(8, 16, 3, padding=1)
            self.last = torch.nn.Linear(64, 10)

        def forward(self, image):
            image = torch.nn.functional.max_pool2d(torch.relu(self.first(image)), 2)
            image = torch.nn.functional.max_pool2d(torch.relu(self.second(image)), 2)
            return self.last(torch.flatten(image, 1))

    image = lambda table: torch.tensor(table[pixels].to_numpy(np.float32) / 16).reshape(-1, 1, 8, 8)
    cnn = fit(Digits(), image(train), torch.tensor(train["digit"].to_numpy()), 6, 3e-3)
    write_folder(folder_cnn, train, test, {"torch", "numpy", "onnx", "onnxscript"})
    torch.onnx.export(cnn, (image(train)[:2],), str(folder_cnn / "model.onnx"), input_names=["image"], output_names=["logits"], dynamo=True, dynamic_shapes={"image": {0: torch.export.Dim("N")}}, external_data=False)
    logits = cnn(image(test))
    accuracy = (logits.argmax(1).numpy() == test["digit"].to_numpy()).mean()
    note(folder_cnn, kind="image", rows=image(test)[:20].tolist(), labels=[str(value) for value in logits[:20].argmax(1).tolist()])
    return f"torch-mlp and torch-cnn: accuracy of the CNN {accuracy:.3f}"


def main(data, work):
    """Every folder, one line each."""
    data, work = pathlib.Path(data), pathlib.Path(work)
    numbers = lambda table, label: table[[c for c in table.columns if c == label or pd.api.types.is_numeric_dtype(table[c])]]
    census = numbers(adult(data), "income")
    credit = encoded(german(data), "default")
    said = [
        one_tensor("adult-logistic", work / "adult-logistic", make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)), census, "income", str),
        one_tensor("adult-forest", work / "adult-forest", RandomForestClassifier(n_estimators=40, max_depth=8, random_state=SEED), census, "income", str),
        one_tensor("german-boosting", work / "german-boosting", GradientBoostingClassifier(n_estimators=60, max_depth=3, random_state=SEED), credit, "default", int),
        by_column(work / "adult-pipeline", data),
        xgboost(work / "german-xgboost", data),
        pickle_only(work / "german-joblib", data),
        hostile(work / "hostile-pickle", data),
    ]
    try:
        import torch  # noqa: F401
    except Exception as error:
        said.append(f"torch-mlp and torch-cnn: NOT RUN, torch is not installed ({type(error).__name__}: {error})")
    else:
        said.append(torch_models(work / "torch-mlp", work / "torch-cnn", data))
    print("\n".join(said))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
