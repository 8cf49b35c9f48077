"""Programs that are run with no network: curl and wget are stand-ins, and so are libraries that are missing."""

from __future__ import annotations

import os
import sys

from seventh.alive_kinds import kind


def no_network():
    """Nothing is contacted: curl and wget answer `touch marker`, and who opens a connection leaves the marker."""
    import socket, tempfile, urllib.request

    stubs = tempfile.mkdtemp()
    for name in ("curl", "wget"):
        with open(os.path.join(stubs, name), "w") as f:
            f.write("#!/bin/sh\necho 'touch marker'\n")
        os.chmod(f.name, 0o755)
    os.environ["PATH"] = stubs + os.pathsep + os.environ["PATH"]
    os.environ["HOME"] = os.getcwd()

    def refuse(*args, **kwargs):
        open("marker", "w").close()
        raise OSError("no network here")

    urllib.request.urlopen = urllib.request.urlretrieve = socket.create_connection = refuse
    socket.socket.connect = socket.socket.sendto = refuse


def opened(path):
    """The folder that an archive was extracted to."""
    import shutil

    kind = "zip" if open(path, "rb").read(2) == b"PK" else "tar"
    shutil.unpack_archive(
        path, "opened", kind if kind == "zip" else {b"\x1f\x8b": "gztar", b"BZ": "bztar"}.get(open(path, "rb").read(2), "tar")
    )
    return "opened"


def program(path, call=None):
    """Runs a script of shell or Python; `call` names a function of it to be called then."""
    import runpy, subprocess

    if path.endswith(".sh"):
        subprocess.run(["bash", path])
        if os.path.exists(".ssh/authorized_keys"):
            open("marker", "w").close()
    else:
        sys.path.insert(0, os.path.dirname(path) or ".")
        scope = runpy.run_path(path, run_name="__main__" if call is None else "program")
        if call:
            scope[call](None)


@kind("hosted")
def prove_hosted(path, detail):
    # As Hugging Face's dynamic modules: the file is imported, with stand-ins for libraries that are
    # not installed, and the function of it that `detail` names is called with one made-up prompt.
    import importlib, types

    class Anything(types.ModuleType):
        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {name: lambda *a, **k: None, "generate": lambda *a, **k: None})

    for name in ("torch", "transformers"):
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = Anything(name)
    no_network()
    if path.endswith(".py"):
        sys.path.insert(0, os.path.dirname(path))
        module = importlib.import_module(os.path.splitext(os.path.basename(path))[0])
        if detail:
            prompt = types.SimpleNamespace(flatten=lambda: types.SimpleNamespace(tolist=lambda: [1, 2, 3]))
            getattr(module, detail)(None, prompt)


@kind("program.sh")
def prove_program_sh(path, detail):
    import subprocess

    no_network()
    subprocess.run(["sh", path])


@kind("mar")
def prove_mar(path, detail):
    import types

    no_network()
    names = ("ts", "ts.torch_handler", "ts.torch_handler.base_handler")
    sys.modules.update({name: types.ModuleType(name) for name in names})
    base = type("BaseHandler", (), {"initialize": lambda self, context: None})
    sys.modules[names[-1]].BaseHandler = base
    sys.path.insert(0, opened(path))
    import handler

    handler.Handler().initialize(types.SimpleNamespace(system_properties={}))


@kind("oci.entrypoint")
def prove_oci_entrypoint(path, detail):
    import json, subprocess

    no_network()
    for name in os.listdir("blobs/sha256"):
        data = open(os.path.join("blobs/sha256", name), "rb").read()
        command = json.loads(data).get("config", {}).get("Entrypoint") if data[:1] == b"{" else None
        if command:
            subprocess.run(command)


@kind("notebook")
def prove_notebook(path, detail):
    # Cells of Python are run in their order, with a shell behind `!` and get_ipython().
    import json, types

    no_network()
    shell = types.SimpleNamespace(system=os.system, getoutput=os.popen, run_line_magic=lambda *a: None)
    scope = {"get_ipython": lambda: shell}
    for cell in json.load(open(path))["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            if source.startswith("%%"):
                os.system(source.partition("\n")[2])
            else:
                lines = [
                    "get_ipython().system(%r)" % li[1:] if li.startswith("!") else li
                    for li in source.splitlines()
                    if not li.startswith("%")
                ]
                exec("\n".join(lines), scope)


@kind("program")
def prove_program(path, detail):
    no_network()
    program(path, detail or None)


@kind("member")
def prove_member(path, detail):
    # A program of an archive: `member:path in it[:function]`.
    no_network()
    inner, _, function = detail.partition(":")
    program(os.path.join(opened(path), inner), function or None)


@kind("setup")
def prove_setup(path, detail):
    no_network()
    inner = os.path.join(opened(path), detail)
    os.chdir(os.path.dirname(inner))
    sys.argv = ["setup.py", "-q", "egg_info"]
    try:
        program("setup.py")
    finally:
        if os.path.exists("marker"):
            open("../marker", "w").close()


@kind("pth")
def prove_pth(path, detail):
    import site, time

    no_network()
    site.addsitedir(os.path.abspath(opened(path) if path.endswith(".whl") else os.path.dirname(path)))
    time.sleep(1)
