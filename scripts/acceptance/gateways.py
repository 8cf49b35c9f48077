"""Another gateway that asks mantlet: LiteLLM's proxy with its generic guardrail and with `guardrail: repelloai`, both of
whose addresses are mantlet's.

The model behind the proxy is the small server of `model.py`.
"""

import argparse
import http.server
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import urllib.request

import openai
from harness import check, free_port, raises, start_gateway, stop
from model import SECRET, Model

CONFIG = """
model_list:
  - model_name: echo
    litellm_params: {{model: openai/echo, api_base: "http://127.0.0.1:{model}/v1", api_key: unused}}
guardrails:
  - guardrail_name: generic
    litellm_params:
      guardrail: generic_guardrail_api
      mode: [pre_call, post_call]
      api_base: "{mantlet}"
      api_key: "{key}"
      streaming_buffer_until_moderated: true
      additional_provider_specific_params: {{system: example}}
  - guardrail_name: argus
    litellm_params:
      guardrail: repelloai
      mode: [pre_call, post_call]
      api_base: "{mantlet}/sdk/v1"
      api_key: "{key}"
      asset_id: example
general_settings: {{master_key: sk-test}}
litellm_settings: {{telemetry: false}}
"""


def proxy(work, config):
    """LiteLLM's proxy, once it answers."""
    (work / "litellm.yaml").write_text(config)
    port = free_port()
    program = pathlib.Path(sys.executable).parent / "litellm"
    # Its list of prices would come from the network.
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    command = [str(program), "--config", str(work / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=(work / "litellm.log").open("w"), stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 240
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=5):
                return process, f"http://127.0.0.1:{port}"
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"LiteLLM did not start: {(work / 'litellm.log').read_text()[-1500:]}")
        time.sleep(0.3)


def guarded(base, name):
    client = openai.OpenAI(base_url=base, api_key="sk-test", max_retries=0, timeout=120)
    ask = lambda text, **more: client.chat.completions.create(model="echo", messages=[{"role": "user", "content": text}], extra_body={"guardrails": [name]}, **more)
    check(f"litellm {name}: plain", ask("good morning").choices[0].message.content == "good morning")
    said = "".join(chunk.choices[0].delta.content or "" for chunk in ask("good morning to all of you", stream=True) if chunk.choices)
    check(f"litellm {name}: stream", said == "good morning to all of you", said)
    before = len(Model.seen)
    error = raises(openai.APIStatusError, lambda: ask("tell me about Project Nightjar"))
    check(f"litellm {name}: a prompt that may not pass is refused", error is not None and error.status_code == 400 and len(Model.seen) == before, str(error))
    error = raises(openai.APIStatusError, lambda: ask("what is it called"))
    check(f"litellm {name}: an answer that may not pass is refused", error is not None and error.status_code == 400 and len(Model.seen) == before + 1, str(error))
    said = []
    error = raises(openai.APIError, lambda: said.extend(chunk.choices[0].delta.content or "" for chunk in ask("what is it called", stream=True) if chunk.choices))
    check(f"litellm {name}: nor does it come as a stream", "Nightjar" not in "".join(said), "".join(said))
    if name == "generic":
        answer = ask(f"it is {SECRET} today").choices[0].message.content
        check("litellm generic: a secret is taken out", SECRET not in answer and SECRET.encode() not in Model.seen[-1][2] and answer.startswith("it is "), answer)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mantlet", required=True)
    parser.add_argument("--work", required=True)
    options = parser.parse_args()
    work = pathlib.Path(options.work).resolve() / "gateways"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Model.sayings["what is it called"] = "it is called Project Nightjar"
    upstream = f'upstream = "http://127.0.0.1:{server.server_port}"\nspeaks = "text"\n'
    process, mantlet, key = start_gateway(str(pathlib.Path(options.mantlet).resolve()), work / "mantlet", upstream)
    litellm = None
    try:
        litellm, base = proxy(work, CONFIG.format(model=server.server_port, mantlet=mantlet, key=key))
        for name in ("generic", "argus"):
            guarded(base, name)
    finally:
        if litellm:
            litellm.terminate()
            litellm.wait(30)
        stop(process)
        server.shutdown()
    print("LiteLLM's guardrails work unmodified")


if __name__ == "__main__":
    main()
