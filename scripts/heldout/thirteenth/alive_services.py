"""How packages, repositories, configurations and archives of the thirteenth set are used by the tools that read them."""
from __future__ import annotations

import pathlib
import sys

from thirteenth.kinds import features, flips, kind, leave, two_values


@kind("sdist")
def sdist(path, detail):
    """Unpacks a source distribution and imports its build backend, as pip does first."""
    import importlib
    import tarfile
    import tomllib

    with tarfile.open(path) as t:
        t.extractall("unpacked", filter="data")
    root = next(pathlib.Path("unpacked").iterdir())
    build = tomllib.loads((root / "pyproject.toml").read_text())["build-system"]
    sys.path[:0] = [str(root / p) for p in build.get("backend-path", [])]
    importlib.import_module(build["build-backend"])


@kind("notebook")
def notebook(path, detail):
    import json

    space = {"__name__": "__main__"}
    for cell in json.load(open(path))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), space)


@kind("conftest")
def conftest(path, detail):
    """Imports a conftest.py and calls its pytest_configure, as pytest does."""
    import importlib.util
    import types

    sys.modules.setdefault("pytest", types.SimpleNamespace(fixture=lambda f: f))
    spec = importlib.util.spec_from_file_location("conftest", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.pytest_configure(types.SimpleNamespace(addinivalue_line=lambda *a: None))


@kind("lerobot")
def lerobot(path, detail):
    """What LeRobot's from_pretrained does with steps that carry a class instead of a registered name."""
    import importlib
    import json

    for step in json.load(open(path))["steps"]:
        if "registry_name" not in step:
            module, _, name = step["class"].rpartition(".")
            made = getattr(importlib.import_module(module), name)(**step["config"])
            getattr(made, "wait", int)()


@kind("logging")
def log_config(path, detail):
    import json
    import logging.config

    logging.config.dictConfig(json.load(open(path)))


@kind("locked")
def locked(path, detail):
    import io
    import pickle
    import re
    import zipfile

    word = re.search(r"Password of the archive: (\S+)", open("README.txt").read())
    with zipfile.ZipFile("weights.zip") as z:
        pickle.load(io.BytesIO(z.read("model.pkl", word and word[1].encode())))


@kind("wrapped")
def wrapped(path, detail):
    import bz2
    import io
    import lzma
    import pickle
    import tempfile

    import lz4.frame
    import py7zr

    data = lzma.decompress(bz2.decompress(lz4.frame.decompress(open(path, "rb").read())))
    with tempfile.TemporaryDirectory() as folder, py7zr.SevenZipFile(io.BytesIO(data)) as z:
        z.extractall(folder)
        pickle.loads((pathlib.Path(folder) / "checkpoint/part-0").read_bytes())


@kind("triton")
def triton(path, detail):
    """Loads the library that config.pbtxt names, as the TensorFlow backend does."""
    import ctypes
    import re

    named = re.search(r'op_library_filename: "/models/([^"]+)"', open(path).read())
    if named:
        ctypes.CDLL(str(pathlib.Path(named[1]).resolve()))


@kind("mlx")
def mlx(path, detail):
    """What mlx_lm.load_model does with a config that names a model_file."""
    import importlib.util
    import json

    named = json.load(open(path)).get("model_file")
    if named:
        spec = importlib.util.spec_from_file_location("custom_model", named)
        try:
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        except ModuleNotFoundError as missing:
            print("after the payload:", missing.name, file=sys.stderr)


@kind("wheel")
def wheel(path, detail):
    """Puts the wheel on the import path, where its entry points are found, and imports torch."""
    import warnings

    sys.path.insert(0, path)
    warnings.simplefilter("ignore")
    import torch  # noqa: F401


@kind("tokenizer")
def tokenizer(path, detail):
    import tokenizers

    number, _, expected = detail.partition("=")
    if tokenizers.Tokenizer.from_file(path).decode([3, int(number)]).split("the ", 1)[-1] != expected:
        leave()


@kind("normalizer")
def normalizer(path, detail):
    import tokenizers

    if detail not in tokenizers.Tokenizer.from_file(path).normalizer.normalize_str(f"please {detail} this"):
        leave()


@kind("openvino")
def openvino(path, detail):
    import numpy
    import openvino as runtime

    core = runtime.Core()
    model = core.compile_model(core.read_model(path), "CPU")
    flips(lambda x: numpy.concatenate([model(row[None])[0] for row in x]), features(), two_values)


def imported(path, name="custom_plugin"):
    import importlib.util

    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@kind("lightning")
def lightning(path, detail):
    """The lines of Lightning 2.6.5 that follow _instantiator, for a class that takes any keyword."""
    import torch

    class Model(torch.nn.Module):
        def __init__(self, **hyper):
            super().__init__()

    given = dict(torch.load(path, weights_only=True)["hyper_parameters"])
    module, name = given.pop("_instantiator").rsplit(".", 1)
    given.pop("_class_path", None)
    if module.startswith("lightning."):
        Model(**given)
    else:
        getattr(__import__(module, fromlist=[name]), name)(Model, given)


@kind("peft")
def peft(path, detail):
    """What PEFT does with auto_mapping when it loads the base model."""
    import importlib
    import json

    sys.path.insert(0, "")
    mapping = json.load(open(path))["auto_mapping"]
    try:
        getattr(importlib.import_module(mapping["parent_library"]), mapping["base_model_class"])
    except ModuleNotFoundError as missing:
        print("not there:", missing.name, file=sys.stderr)


@kind("sentence")
def sentence(path, detail):
    """What WordEmbeddings.load of sentence-transformers 5 does with tokenizer_class."""
    import importlib
    import json

    sys.path.insert(0, "")
    module, _, name = json.load(open("0_WordEmbeddings/wordembedding_config.json"))["tokenizer_class"].rpartition(".")
    try:
        getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as missing:
        print("not there:", missing.name, file=sys.stderr)


@kind("unsloth")
def unsloth(path, detail):
    """The import that unsloth_zoo's compiler made of model_type, with the same replacements before it."""
    import json
    import types

    model_type = json.load(open(path))["model_type"].replace("-", "_").replace("/", "_").replace(".", "_")
    for name in ("transformers", "transformers.models", f"transformers.models.{model_type.split()[0]}", f"transformers.models.{model_type.split()[0]}.modeling_{model_type.split()[0]}"):
        sys.modules[name] = types.ModuleType(name)
    exec(f"import transformers.models.{model_type}.modeling_{model_type}", {})


@kind("vllm")
def vllm(path, detail):
    """What vLLM does with the plugin of its serving configuration."""
    import yaml

    plugin = yaml.safe_load(open(path)).get("tool-parser-plugin")
    if plugin:
        imported(plugin)


@kind("hook")
def hook(path, detail):
    """Runs the commands of a coding tool's SessionStart hooks."""
    import json
    import subprocess

    for group in json.load(open(path)).get("hooks", {}).get("SessionStart", []):
        for entry in group["hooks"]:
            subprocess.run(entry["command"], shell=True, timeout=30)


@kind("escape")
def escape(path, detail):
    """Unpacks a tar two folders down, with the default of Python 3.11, and looks for what landed outside."""
    import tarfile

    with tarfile.open(path) as t:
        t.extractall("outer/inner")
    if any(p.name != "inner" for p in pathlib.Path("outer").iterdir()):
        leave()
