"""TensorFlow messages from their schemas: graphs, functions, SavedModels and TFLite."""

from __future__ import annotations

import flatbuffers
import numpy as np

from seventh.kit import floats, pb

FLOAT, INT32, STRING, BOOL, INT64 = 1, 3, 7, 10, 9


def shape(*sides) -> bytes:
    return pb(*[(2, pb((1, s))) for s in sides])


def tensor(value) -> bytes:
    """A TensorProto of text, or of numbers."""
    if isinstance(value, (str, bytes)):
        return pb((1, STRING), (2, shape()), (8, value))
    if isinstance(value, list) and isinstance(value[0], str):
        return pb((1, STRING), (2, shape(len(value))), *[(8, v) for v in value])
    value = np.asarray(value)
    kind = {"f": FLOAT, "i": INT32, "b": BOOL}[value.dtype.kind]
    data = value.astype({FLOAT: "<f4", INT32: "<i4", BOOL: "?"}[kind]).tobytes()
    return pb((1, kind), (2, shape(*value.shape)), (4, data))


def attr(value) -> bytes:
    """An AttrValue: ("type", n), ("tensor", v), ("func", name), ("list", [text]), text, number or truth."""
    if isinstance(value, tuple):
        kind, inner = value
        return {
            "type": lambda: pb((6, inner)),
            "tensor": lambda: pb((8, tensor(inner))),
            "func": lambda: pb((10, pb((1, inner)))),
            "list": lambda: pb((1, pb(*[(2, v) for v in inner]))),
            "types": lambda: pb((1, pb(*[(6, v) for v in inner]))),
            "shapes": lambda: pb((1, pb(*[(7, shape(*v)) for v in inner]))),
            "shape": lambda: pb((7, shape(*inner))),
        }[kind]()
    if isinstance(value, bool):
        return pb((5, value))
    if isinstance(value, int):
        return pb((3, value))
    return pb((2, value))


def node(op: str, name: str, *inputs: str, **attributes) -> bytes:
    attrs = [(5, pb((1, k), (2, attr(v)))) for k, v in attributes.items()]
    return pb((1, name), (2, op), *[(3, i) for i in inputs], *attrs)


def const(name: str, value) -> bytes:
    kind = STRING if isinstance(value, (str, bytes, list)) else {"f": FLOAT, "i": INT32, "b": BOOL}[np.asarray(value).dtype.kind]
    return node("Const", name, dtype=("type", kind), value=("tensor", value))


def graph(nodes, functions=()) -> bytes:
    library = pb(*[(1, f) for f in functions])
    return pb(*[(1, n) for n in nodes], (2, library), (4, pb((1, 1087))))


def function(name: str, inputs, output: str, nodes, kind=FLOAT) -> bytes:
    """A FunctionDef of float arguments whose one output is `output`."""
    arguments = [(2, pb((1, i), (3, kind))) for i in inputs]
    signature = pb((1, name), *arguments, (3, pb((1, "out"), (3, kind))))
    return pb((1, signature), *[(3, n) for n in nodes], (4, pb((1, "out"), (2, output))))


def meta(g: bytes, output="out:0", starts: str | None = None, asset: str | None = None) -> bytes:
    info = pb((4, "serve"), (5, "2.15.0"))
    serve = pb(
        (1, pb((1, "x"), (2, pb((1, "x:0"), (2, FLOAT), (3, shape(1, 8)))))),
        (2, pb((1, "y"), (2, pb((1, output), (2, FLOAT))))),
        (3, "tensorflow/serving/predict"),
    )
    first = "__saved_model_init_op"
    target = pb((1, starts or ""), (3, pb((3, True))))
    start = [(5, pb((1, first), (2, pb((2, pb((1, first), (2, target)))))))] if starts else []
    named = [(6, pb((1, pb((1, "f:0"))), (2, asset)))] if asset else []
    return pb((1, info), (2, g), *start, *named, (5, pb((1, "serving_default"), (2, serve))))


def saved(nodes, functions=(), output="out:0", starts=None, asset=None, **files) -> dict:
    return {
        "saved_model.pb": pb((1, 1), (2, meta(graph(nodes, functions), output, starts, asset))),
        "variables/variables.index": b"",
        **files,
    }


PLAIN = [
    node("Placeholder", "x", dtype=("type", FLOAT), shape=("shape", (1, 8))),
    const("w", np.frombuffer(floats(40, 5, 0.5), "<f4").reshape(8, 5)),
    node("MatMul", "logits", "x", "w", T=("type", FLOAT)),
]


def keep(name="out", source="logits", *after):
    return node("Identity", name, source, *[f"^{a}" for a in after], T=("type", FLOAT))


def tflite(custom: str, options: bytes) -> bytes:
    """A TFLite model of one custom operator over one tensor."""
    b = flatbuffers.Builder(512)

    def vector(items):
        b.StartVector(4, len(items), 4)
        for i in reversed(items):
            b.PrependUOffsetTRelative(i)
        return b.EndVector()

    def numbers(items):
        b.StartVector(4, len(items), 4)
        for i in reversed(items):
            b.PrependInt32(i)
        return b.EndVector()

    def table(*slots):
        b.StartObject(max(s for s, _, _ in slots) + 1)
        for slot, kind, value in slots:
            getattr(b, f"Prepend{kind}Slot")(slot, value, 0)
        return b.EndObject()

    opts = b.CreateByteVector(options)
    name = b.CreateString(custom)
    code = table((0, "Int8", 32), (1, "UOffsetTRelative", name), (2, "Int32", 1), (3, "Int32", 32))
    ins, outs = numbers([0]), numbers([1])
    op = table((0, "Uint32", 0), (1, "UOffsetTRelative", ins), (2, "UOffsetTRelative", outs), (5, "UOffsetTRelative", opts))
    tensors = []
    for label in ("x", "y"):
        text, sides = b.CreateString(label), numbers([1, 8])
        tensors.append(table((0, "UOffsetTRelative", sides), (2, "Uint32", 0), (3, "UOffsetTRelative", text)))
    main = b.CreateString("main")
    parts = vector(tensors), numbers([0]), numbers([1]), vector([op])
    sub = table(*[(i, "UOffsetTRelative", p) for i, p in enumerate(parts)], (4, "UOffsetTRelative", main))
    said = b.CreateString("MLIR Converted.")
    data = b.CreateByteVector(floats(4))
    buffers = vector([table((0, "UOffsetTRelative", data))])
    codes, subs = vector([code]), vector([sub])
    root = table(
        (0, "Uint32", 3),
        (1, "UOffsetTRelative", codes),
        (2, "UOffsetTRelative", subs),
        (3, "UOffsetTRelative", said),
        (4, "UOffsetTRelative", buffers),
    )
    b.Finish(root, b"TFL3")
    return bytes(b.Output())
