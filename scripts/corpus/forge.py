"""Makes benign model files and live evasions with their benign twins, and says what a scan must answer.

    python forge.py OUT            writes OUT/benign, OUT/hostile, OUT/twin and OUT/expected.json
    python forge.py OUT --prove    also loads every hostile file in a child process and checks that it acts

The payload of every hostile file is harmless: it creates `mantlet-was-here` in the current folder.
Needs numpy, scipy, scikit-learn, pandas and joblib; uses torch, skops, xgboost, lightgbm, catboost, gensim,
nltk, statsmodels, safetensors, skl2onnx, cloudpickle, dill, networkx, transformers and others where they
are installed.
"""

import importlib.util
import itertools
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from evasions import evasions, twins
from libraries import libraries
from ordinary import ordinary
from tricks import tricks

warnings.filterwarnings("ignore")

LOADERS = {
    "pickle": "import pickle; pickle.load(open(path, 'rb'))",
    "pickle-twice": "import pickle; f = open(path, 'rb'); pickle.load(f); pickle.load(f)",
    "joblib": "import joblib; joblib.load(path)",
    "joblib-twice": "import joblib, pickle; f = open(path, 'rb'); joblib.load(f); pickle.load(f)",
    "numpy": "import numpy; x = numpy.load(path, allow_pickle=True); [x[k] for k in getattr(x, 'files', [])]",
    "zip": "import zipfile, pickle; pickle.loads(zipfile.ZipFile(path).read('archive/data.pkl'))",
    "dill": "import dill; dill.load(open(path, 'rb'))",
    "transform": "import pickle; pickle.load(open(path, 'rb')).transform('mantlet-was-here')",
}


def prove(path, loader):
    """Loads a file in a scratch folder; whether its payload acted."""
    with tempfile.TemporaryDirectory() as scratch:
        # A few frames deep, as a program would be: some libraries look at their callers.
        code = (f"path = {str(path.resolve())!r}\ndef load(depth):\n    if depth:\n        return load(depth - 1)\n"
                f"    try:\n        {LOADERS[loader]}\n    except BaseException:\n        pass\nload(6)\n")
        environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
        subprocess.run([sys.executable, "-c", code], cwd=scratch, env=environment, capture_output=True,
                       timeout=120, check=False)
        return any(name.startswith("mantlet-was-here") for name in os.listdir(scratch))


def main():
    out = Path(sys.argv[1])
    expected = {}
    for folder in ("benign", "hostile", "twin"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    installed = lambda module: importlib.util.find_spec(module) is not None  # noqa: E731
    for name, data, expect in itertools.chain(ordinary(installed), libraries(installed)):
        (out / "benign" / name).write_bytes(data)
        expected[f"benign/{name}"] = {"expect": expect}
    for name, data, loader in evasions():
        path = out / "hostile" / name
        path.write_bytes(data)
        expected[f"hostile/{name}"] = {"expect": "found", "loader": loader}
        if "--prove" in sys.argv and loader:
            expected[f"hostile/{name}"]["live"] = prove(path, loader)
    for name, data, loader, twin in tricks():
        path = out / "hostile" / f"trick-{name}"
        path.write_bytes(data)
        expected[f"hostile/trick-{name}"] = {"expect": "found", "loader": loader}
        if "--prove" in sys.argv and loader:
            expected[f"hostile/trick-{name}"]["live"] = prove(path, loader)
        (out / "twin" / f"trick-{name}").write_bytes(twin)
        expected[f"twin/trick-{name}"] = {"expect": "clean"}
    for name, data in twins():
        (out / "twin" / name).write_bytes(data)
        expected[f"twin/{name}"] = {"expect": "clean"}
    (out / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True))
    dead = [name for name, entry in expected.items() if entry.get("live") is False]
    print(json.dumps({"files": len(expected), "dead": dead}))


if __name__ == "__main__":
    main()
