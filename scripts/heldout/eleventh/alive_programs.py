"""How the packages, notebooks, scripts and configurations of this set are run when they are proved."""
import os
import sys

from eleventh.alive_marker import mark


def pth(path, detail):
    """A wheel unpacked into a folder that Python takes for site-packages."""
    import site
    import zipfile

    zipfile.ZipFile(path).extractall("site")
    site.addsitedir("site")


def sdist(path, detail):
    """Builds as pip does: the project's own backend, or setuptools reading setup.cfg."""
    import tarfile

    with tarfile.open(path) as t:
        t.extractall(".", filter="data")
    os.chdir("tinymodel-1.2.0")
    sys.path.insert(0, "_build" if detail == "backend" else ".")
    if detail == "backend":
        import backend

        backend.build_wheel("..")
    else:
        from setuptools.config.setupcfg import read_configuration

        read_configuration("setup.cfg")


def notebook(path, detail):
    """Runs the last cell."""
    import json

    exec("".join(json.load(open(path))["cells"][-1]["source"]), {"__name__": "__main__"})


def imported(path, detail):
    sys.path.insert(0, os.path.dirname(detail) or ".")
    __import__(os.path.basename(detail))


def http(path, detail):
    """Runs a script with a stand-in for the network: what is fetched marks when unpickled, a secret that is sent marks."""
    import http.server
    import io
    import runpy
    import types
    import urllib.request

    def urlopen(url, data=None, timeout=None):
        if data and b"not to be told" in data:
            mark()
        return io.BytesIO(b"cbuiltins\neval\n(S\"open('marker','w').close()\"\ntR.")

    class Server:
        def __init__(self, *args):
            pass

        def serve_forever(self):
            sys._getframe(1).f_globals["beat"](3)

    urllib.request.urlopen, http.server.HTTPServer = urlopen, Server
    os.environ.update({"ACME_API_TOKEN": "not to be told", "PUSHGATEWAY": "http://127.0.0.1:9091"})
    sys.modules["transformers"] = types.SimpleNamespace(pipeline=lambda *a, **k: lambda text: [])
    sys.argv = [path]
    runpy.run_path(path, run_name="__main__")


def yolo(path, detail):
    import torch
    import yaml

    assert torch
    eval(yaml.safe_load(open(path))["activation"])


def lightning(path, detail):
    import importlib

    import yaml

    for item in yaml.safe_load(open(path))["trainer"]["callbacks"]:
        module, _, name = item["class_path"].rpartition(".")
        getattr(importlib.import_module(module), name)(**item["init_args"]).wait()


def model_code(path, detail):
    """Models from code: MLflow runs the file that the MLmodel names."""
    import runpy

    runpy.run_path(detail)


def tar_program(path, detail):
    """A program that is a member of an archive."""
    import tarfile

    with tarfile.open(path) as t:
        exec(t.extractfile(detail).read(), {"__name__": "inference"})


KINDS = {
    "e11-pth": pth, "e11-sdist": sdist, "e11-notebook": notebook, "e11-import": imported, "e11-http": http, "e11-yolo": yolo,
    "e11-lightning": lightning, "e11-run": model_code, "e11-tar": tar_program,
}  # fmt: skip
