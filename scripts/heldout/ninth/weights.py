"""Weights as data: safetensors, GGUF, GGML, msgpack, adapters."""
import json
import struct

from assembly import call, glob, pickle
from pair import CODE

from .shared import LLAMA, elf, floats, gguf, noise, plain_tensors, safetensors

F = "weights"


def mantissa(secret: bytes, n: int = 12000) -> bytes:
    """Floats whose lowest bytes spell `secret`."""
    raw = bytearray(floats(n, 21))
    for i, b in enumerate(secret[:n]):
        raw[4 * i] = b
    return bytes(raw)


def nd(kind: bytes, blob: bytes) -> bytes:
    import msgpack

    return msgpack.packb({"params": {"dense": {"kernel": {b"nd": True, b"type": "|O" if kind == b"O" else "<f4", b"kind": kind, b"shape": (4,), b"data": blob}}}, "step": 100}, use_bin_type=True)


def ggml(vocab: int) -> bytes:
    """The ggjt v3 layout: seven hyperparameters, the vocabulary (length, text, score), then tensors."""
    words = [b"<unk>", b"<s>", b"a", b"the"]
    out = b"tjgg" + struct.pack("<I", 3) + struct.pack("<7I", 4, 8, 256, 2, 1, 4, 0)
    for i, w in enumerate(words):
        out += struct.pack("<I", vocab if i == 2 and vocab else len(w)) + w + struct.pack("<f", -float(i))
    name = b"tok_embeddings.weight"
    out += struct.pack("<III", 2, len(name), 0) + struct.pack("<II", 8, 4) + name
    return out + b"\0" * (-len(out) % 32) + floats(32)


def add(out):
    def pair(name, hostile, twin, why, prove=None, file="model.safetensors"):
        out.add(F, name, hostile, twin, prove=prove, file=file, why=why)

    program = elf(size=4096)
    tensors = lambda raw: safetensors({"lm_head.weight": ("F32", [16, 8], floats(128)), "quant.zeros": ("U8", [len(raw)], raw)}, {"format": "pt"})  # noqa: E731
    pair("program-as-u8-tensor", tensors(program), tensors(noise(len(program), 5)), "A whole ELF program is the data of a U8 tensor.")
    pair("metadata-instantiates", plain_tensors({"format": "pt", "config": str({"_target_": "os.system", "command": "touch marker"})}),
         plain_tensors({"format": "pt", "config": str({"_target_": "torch.nn.Linear", "in_features": 8, "out_features": 16})}),
         "Loaders that read __metadata__ as a Hydra config (FlexTok, Uni2TS; 2025 advisories) call os.system. Not run: those loaders are not installed.")
    low = mantissa(elf(size=9000))
    pair("program-in-mantissas", safetensors({"h.0.mlp.weight": ("F32", [120, 100], low)}, {"format": "pt"}), safetensors({"h.0.mlp.weight": ("F32", [120, 100], floats(12000, 21))}, {"format": "pt"}),
         "The lowest byte of each float spells a whole ELF program (EvilModel, MaleficNet).")
    big = {"token_embd.weight": ([1 << 31, 1 << 31, 1 << 2], 0, 0), "output.weight": ([8, 16], 0, 512)}
    fine = {"token_embd.weight": ([8, 8, 2], 0, 0), "output.weight": ([8, 16], 0, 512)}
    pair("gguf-element-count-wraps", gguf(LLAMA, big, tail=floats(256)), gguf(LLAMA, fine, tail=floats(256)),
         "The product of the dimensions wraps to 0 in 64 bits: a small buffer for a huge tensor (CVE-2025-53630 and kin).", file="model.gguf")
    text = lambda n: struct.pack("<I", 8) + struct.pack("<Q", n) + b"tiny"  # noqa: E731
    pair("gguf-string-length-wraps", gguf({**LLAMA, "general.description": text((1 << 64) - 1)}), gguf({**LLAMA, "general.description": text(4)}),
         "A string length of 2^64-1 becomes an allocation of 0 and a long copy (TALOS-2024-1913 and kin).", file="model.gguf")
    place = lambda off: {"token_embd.weight": ([8, 16], 0, 0), "output.weight": ([8, 16], 0, off)}  # noqa: E731
    pair("gguf-offset-outside", gguf(LLAMA, place(0x7FFFFFFFFFFFFE00), tail=floats(256)), gguf(LLAMA, place(512), tail=floats(256)),
         "A tensor whose offset is far outside the file: read out of bounds while converting (CVE-2026-7482).", file="model.gguf")
    wide = {**LLAMA, "general.alignment": 8192}
    pair("program-in-gguf-padding", gguf(wide, align=8192, pad=elf(size=3000), tail=floats(256)), gguf(wide, align=8192, tail=floats(256)),
         "The padding before the tensor data, made wide by general.alignment, holds an ELF program.", file="model.gguf")
    pair("gguf-array-type-unknown", gguf({**LLAMA, "tokenizer.ggml.token_type": struct.pack("<IIQ", 9, 0x7FFFFFFF, 1 << 61) + bytes(16)}),
         gguf({**LLAMA, "tokenizer.ggml.token_type": struct.pack("<IIQ", 9, 5, 4) + bytes(16)}),
         "An array of an undefined type with 2^61 items: the type indexes a size table out of bounds, and count times size wraps.", file="model.gguf")
    run = pickle(call(glob("builtins", "exec"), CODE))
    pair("msgpack-numpy-object", nd(b"O", run), nd(b"", floats(4)), "msgpack-numpy unpickles arrays of kind 'O'.", "ninth-msgpack", "checkpoint.msgpack")
    index = lambda second: {  # noqa: E731
        "model.safetensors.index.json": json.dumps({"metadata": {"total_size": 1152}, "weight_map": {"dense.weight": "model-00001-of-00002.safetensors", "head.weight": second}}, indent=2),
        "model-00001-of-00002.safetensors": plain_tensors(), "model-00002-of-00002.safetensors": safetensors({"head.weight": ("F32", [4, 4], floats(16))}), "config.json": '{"model_type": "bert", "hidden_size": 8}'}
    pair("index-leaves-folder", index("../../../../../home/shared/.cache/tokens.safetensors"), index("model-00002-of-00002.safetensors"),
         "The shard index names a file outside the model's folder.", file=None)
    pair("ggml-word-too-long", ggml(0xFFFFFFF0), ggml(0), "A vocabulary word of 4 GiB in a ggjt file: the reader copies past its buffer.", file="ggml-model.bin")

