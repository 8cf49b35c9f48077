"""A model for tests of clients: a small server that says so, and answers what a request asks it to, plain and streamed, in
OpenAI's and Anthropic's dialects. It counts what reached it.
"""

import http.server
import json
import threading

SECRET = "AKIA" + "Q3EGRZX5WT2NJ7PA"


def said_last(body):
    """What the last message says, whether its content is a text or a list of parts."""
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


class Model(http.server.BaseHTTPRequestHandler):
    """Answers with the last user text, word by word where a stream is asked for."""

    protocol_version = "HTTP/1.1"
    seen, failures, gone = [], 0, threading.Event()
    # What it says when it is asked this, instead of saying the same.
    sayings = {}

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
        Model.seen.append((self.path, dict(self.headers), raw))
        if self.path == "/v1/files":
            return self.answer(200, {"id": "file-1", "object": "file", "bytes": len(raw), "created_at": 1, "filename": "lines.jsonl", "purpose": "batch", "status": "processed"})
        body = json.loads(raw)
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
        if path == "/v1/moderations":
            return self.answer(200, {"id": "modr-1", "model": "echo", "results": [{"flagged": False, "categories": {"violence": False}, "category_scores": {"violence": 0.01}, "category_applied_input_types": {}}]})
        if path == "/v1/completions":
            whole = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "echo"}
            choice = lambda index, text, finish: {"index": index, "text": text, "finish_reason": finish, "logprobs": None}
            text, choices = Model.sayings.get(body["prompt"], body["prompt"]), range(body.get("n", 1))
            if not body.get("stream"):
                return self.answer(200, {**whole, "choices": [choice(index, text, "stop") for index in choices]})
            parts = [text[at : at + 5] for at in range(0, len(text), 5)]
            events = [{**whole, "choices": [choice(index, part, None)]} for part in parts for index in choices]
            return self.stream([f"data: {json.dumps(event)}\n\n" for event in events] + ["data: [DONE]\n\n"])
        self.chat(body)

    def chat(self, body):
        text, choices = said_last(body), body.get("n", 1)
        text = Model.sayings.get(text, text)
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
        whole = {"id": "resp_1", "object": "response", "created_at": 1, "model": "echo", "status": "completed", "output": [item], "parallel_tool_calls": False, "tool_choice": "auto", "tools": [], "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}}
        if not body.get("stream"):
            return self.answer(200, whole)
        begun = {**whole, "status": "in_progress", "output": [], "usage": None}
        at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        events = [("response.created", {"response": begun}), ("response.output_item.added", {"output_index": 0, "item": {**item, "status": "in_progress", "content": []}}), ("response.content_part.added", {**at, "part": {**part, "text": ""}})]
        events += [("response.output_text.delta", {**at, "delta": text[place : place + 5], "logprobs": []}) for place in range(0, len(text), 5)]
        events += [("response.output_text.done", {**at, "text": text, "logprobs": []}), ("response.content_part.done", {**at, "part": part}), ("response.output_item.done", {"output_index": 0, "item": item}), ("response.completed", {"response": whole})]
        self.stream([f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': number, **more})}\n\n" for number, (kind, more) in enumerate(events)])

    def messages(self, body):
        text = said_last(body)
        text = Model.sayings.get(text, text)
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
