"""The clients people use, unmodified, through the gateway: openai and anthropic for Python.

The model behind the gateway is a small server of this file that says so: it answers what a request asks it to, plain
and streamed, in OpenAI's and Anthropic's dialects, and counts what reached it.
"""

import argparse
import http.server
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

import anthropic
import openai

SECRET = "AKIA" + "Q3EGRZX5WT2NJ7PA"


class Model(http.server.BaseHTTPRequestHandler):
    """Answers with the last user text, word by word where a stream is asked for."""

    protocol_version = "HTTP/1.1"
    seen, failures, gone = [], 0, threading.Event()

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, events):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for event in events:
                data = event.encode()
                # Cut in the middle, as networks do.
                for part in (data[: len(data) // 2], data[len(data) // 2 :]):
                    self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                    self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            Model.gone.set()
            self.close_connection = True

    def do_GET(self):
        self.answer(200, {"object": "list", "data": [{"id": "echo", "object": "model", "created": 1, "owned_by": "test"}]})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(raw)
        Model.seen.append((self.path, dict(self.headers), raw))
        if Model.failures > 0:
            Model.failures -= 1
            return self.answer(500, {"error": {"message": "try again", "type": "server_error"}})
        path = self.path.split("?")[0]
        if path == "/v1/messages":
            return self.messages(body)
        if path == "/v1/embeddings":
            return self.answer(200, {"object": "list", "model": "echo", "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}], "usage": {"prompt_tokens": 1, "total_tokens": 1}})
        if path == "/v1/responses":
            return self.answers(body)
        self.chat(body)

    def chat(self, body):
        text, choices = body["messages"][-1]["content"], body.get("n", 1)
        base = {"id": "chatcmpl-1", "created": 1, "model": "echo"}
        usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": json.dumps({"city": text})}}
        if not body.get("stream"):
            message = {"role": "assistant", "content": None, "tool_calls": [call]} if body.get("tools") else {"role": "assistant", "content": text}
            finish = "tool_calls" if body.get("tools") else "stop"
            return self.answer(200, {**base, "object": "chat.completion", "choices": [{"index": index, "message": message, "finish_reason": finish} for index in range(choices)], "usage": usage})
        deltas = []
        if body.get("tools"):
            arguments = call["function"]["arguments"]
            deltas.append({"role": "assistant", "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}]})
            deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": arguments[at : at + 4]}}]} for at in range(0, len(arguments), 4)]
        else:
            deltas += [{"content": text[at : at + 5]} for at in range(0, len(text), 5)]
        chunk = lambda **more: "data: " + json.dumps({**base, "object": "chat.completion.chunk", **more}) + "\n\n"
        events = [chunk(choices=[{"index": index, "delta": delta, "finish_reason": None}]) for delta in deltas for index in range(choices)]
        events += [chunk(choices=[{"index": index, "delta": {}, "finish_reason": "stop"}]) for index in range(choices)]
        if body.get("stream_options", {}).get("include_usage"):
            events.append(chunk(choices=[], usage=usage))
        endless = [chunk(choices=[{"index": 0, "delta": {"content": "more "}, "finish_reason": None}])] * 100_000 if text == "never end" else []
        self.stream(endless + events + ["data: [DONE]\n\n"])

    def answers(self, body):
        text = body["input"] if isinstance(body["input"], str) else body["input"][-1]["content"]
        part = {"type": "output_text", "text": text, "annotations": []}
        item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
        self.answer(200, {"id": "resp_1", "object": "response", "created_at": 1, "model": "echo", "status": "completed", "output": [item], "parallel_tool_calls": False, "tool_choice": "auto", "tools": [], "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}})

    def messages(self, body):
        text = body["messages"][-1]["content"]
        blocks = [{"type": "text", "text": text}]
        if body.get("thinking"):
            blocks.insert(0, {"type": "thinking", "thinking": "let me see", "signature": "c2ln"})
        if body.get("tools"):
            blocks.append({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": text}})
        usage = {"input_tokens": 3, "output_tokens": 2}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "echo", "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
        if not body.get("stream"):
            return self.answer(200, {**message, "content": blocks})
        event = lambda kind, **more: f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n"
        events = [event("message_start", message={**message, "content": [], "stop_reason": None}), event("ping")]
        for index, block in enumerate(blocks):
            key, delta = {"text": ("text", "text_delta"), "thinking": ("thinking", "thinking_delta"), "tool_use": ("input", "input_json_delta")}[block["type"]]
            said = json.dumps(block["input"]) if key == "input" else block[key]
            empty = {**block, key: {} if key == "input" else ""}
            empty.pop("signature", None)
            events.append(event("content_block_start", index=index, content_block=empty if block["type"] != "thinking" else {**empty, "signature": ""}))
            name = "partial_json" if key == "input" else key
            events += [event("content_block_delta", index=index, delta={"type": delta, name: said[at : at + 5]}) for at in range(0, len(said), 5)]
            if block["type"] == "thinking":
                events.append(event("content_block_delta", index=index, delta={"type": "signature_delta", "signature": "c2ln"}))
            events.append(event("content_block_stop", index=index))
        events += [event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 2}), event("message_stop")]
        self.stream(events)


def start_gateway(mantlet, work, upstream):
    """`mantlet up` in front of the model, on a folder of its own."""
    work.mkdir(parents=True)
    (work / "model.txt").write_text("served elsewhere\n")
    (work / "mantlet.toml").write_text(
        f"""
[system]
name = "assistant"
decides = "nothing, a test"
impact = "high"
[model]
path = "model.txt"
[gateway]
listen = "127.0.0.1:0"
upstream = "{upstream}"
speaks = "text"
mode = "enforce"
[gateway.text]
terms = ["project nightjar"]
tools_denied = ["shell"]
"""
    )
    process = subprocess.Popen([mantlet, "up", str(work), "--role", "gateway", "--format", "json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=(work / "log").open("w"), text=True)
    printed = json.loads(process.stdout.readline() or "{}")
    if not printed.get("gateway"):
        sys.exit(f"up did not start: {(work / 'log').read_text()[-800:]}")
    return process, printed["gateway"], printed["api_key"]


def check(name, holds, detail=""):
    print(f"{'ok  ' if holds else 'FAIL'} {name} {detail if not holds else ''}", flush=True)
    if not holds:
        sys.exit(1)


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    return None


def openai_client(base, key):
    client = openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=2)
    ask = lambda text, **more: client.chat.completions.create(model="echo", messages=[{"role": "user", "content": text}], **more)
    check("openai: models", client.models.list().data[0].id == "echo")
    check("openai: plain", ask("good morning").choices[0].message.content == "good morning")
    check("openai: the key stays here", not any(key in str(headers) for _, headers, _ in Model.seen))
    check("openai: parallel choices", len(ask("good morning", n=3).choices) == 3)
    stream = ask("a longer answer, word by word", stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    check("openai: stream", said == "a longer answer, word by word", said)
    check("openai: usage chunk", chunks[-1].usage.total_tokens == 12)
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
    call = ask("Paris", tools=tools).choices[0].message.tool_calls[0]
    check("openai: tool call", json.loads(call.function.arguments) == {"city": "Paris"})
    parts = [chunk.choices[0].delta.tool_calls[0].function.arguments for chunk in ask("Paris", tools=tools, stream=True) if chunk.choices and chunk.choices[0].delta.tool_calls]
    check("openai: streamed tool call", json.loads("".join(parts)) == {"city": "Paris"})
    check("openai: responses", client.responses.create(model="echo", input="good day").output_text == "good day")
    check("openai: embeddings", client.embeddings.create(model="echo", input="good day", encoding_format="float").data[0].embedding == [0.1, 0.2])
    Model.failures = 1
    check("openai: retries", ask("once more").choices[0].message.content == "once more")
    before = len(Model.seen)
    error = raises(openai.PermissionDeniedError, lambda: ask("tell me about Project Nightjar"))
    check("openai: a refusal is an error of the client's own, and is not tried again", error is not None and error.code == "policy_violation" and len(Model.seen) == before, str(error))
    check("openai: a wrong key", raises(openai.AuthenticationError, lambda: openai.OpenAI(base_url=f"{base}/v1", api_key="sk-wrong", max_retries=0).models.list()) is not None)
    answer = ask(f"it is {SECRET} today").choices[0].message.content
    check("openai: a secret is taken out", SECRET not in answer and answer.startswith("it is "), answer)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in ask(f"it is {SECRET} today", stream=True) if chunk.choices)
    check("openai: a secret is taken out of a stream", SECRET not in said and said.endswith(" today"), said)
    stream = ask("never end", stream=True)
    next(iter(stream))
    stream.close()
    check("openai: a client that hangs up ends the model's work", Model.gone.wait(30))


def anthropic_client(base, key):
    client = anthropic.Anthropic(base_url=base, api_key=key, max_retries=1)
    ask = lambda text, **more: client.messages.create(model="echo", max_tokens=64, messages=[{"role": "user", "content": text}], **more)
    check("anthropic: plain", ask("good morning").content[0].text == "good morning")
    tools = [{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]
    check("anthropic: tool use", ask("Paris", tools=tools).content[-1].input == {"city": "Paris"})
    thinking = {"type": "enabled", "budget_tokens": 1024}
    check("anthropic: thinking", ask("Paris", thinking=thinking).content[0].thinking == "let me see")
    with client.messages.stream(model="echo", max_tokens=64, tools=tools, thinking=thinking, messages=[{"role": "user", "content": "a longer answer, word by word"}]) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    check("anthropic: stream", text == "a longer answer, word by word" and final.usage.output_tokens == 2, text)
    check("anthropic: streamed thinking and tool use", final.content[0].thinking == "let me see" and final.content[-1].input == {"city": text})
    before = len(Model.seen)
    error = raises(anthropic.PermissionDeniedError, lambda: ask("tell me about Project Nightjar"))
    check("anthropic: a refusal is an error of the client's own, and is not tried again", error is not None and len(Model.seen) == before, str(error))
    check("anthropic: a wrong key", raises(anthropic.AuthenticationError, lambda: anthropic.Anthropic(base_url=base, api_key="wrong", max_retries=0).messages.create(model="echo", max_tokens=9, messages=[{"role": "user", "content": "x"}])) is not None)
    answer = ask(f"it is {SECRET} today").content[0].text
    check("anthropic: a secret is taken out", SECRET not in answer, answer)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mantlet", required=True)
    parser.add_argument("--work", required=True)
    options = parser.parse_args()
    work = pathlib.Path(options.work).resolve() / "clients"
    shutil.rmtree(work, ignore_errors=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    process, base, key = start_gateway(str(pathlib.Path(options.mantlet).resolve()), work, f"http://127.0.0.1:{server.server_port}")
    try:
        openai_client(base, key)
        anthropic_client(base, key)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        server.shutdown()
    print("the clients work unmodified")


if __name__ == "__main__":
    main()
