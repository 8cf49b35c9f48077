"""The clients people use, unmodified, through the gateway: openai and anthropic for Python, and LangChain over both."""

import argparse
import asyncio
import http.server
import json
import pathlib
import shutil
import threading

import anthropic
import openai
from harness import check, raises, start_gateway, stop
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from model import SECRET, Model


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
    parts = [event.delta for event in client.responses.create(model="echo", input="a longer answer, word by word", stream=True) if event.type == "response.output_text.delta"]
    check("openai: streamed responses", "".join(parts) == "a longer answer, word by word", str(parts))
    check("openai: completions", client.completions.create(model="echo", prompt="good day").choices[0].text == "good day")
    check("openai: moderations", client.moderations.create(model="echo", input="good day").results[0].flagged is False)
    lines = b'{"custom_id":"1","method":"POST","url":"/v1/embeddings","body":{"model":"echo","input":"good day"}}\n'
    check("openai: files", client.files.create(file=("lines.jsonl", lines), purpose="batch").id == "file-1" and lines in Model.seen[-1][2])
    before = len(Model.seen)
    error = raises(openai.PermissionDeniedError, lambda: client.files.create(file=("lines.jsonl", lines.replace(b"good day", b"Project Nightjar")), purpose="batch"))
    check("openai: a file that holds what may not pass is refused", error is not None and len(Model.seen) == before, str(error))
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
    openai_parallel(client, ask)
    asyncio.run(openai_async(base, key))


def openai_parallel(client, ask):
    """Several choices at once, whole and streamed, and what each of them may not say."""
    Model.sayings = {"tell a secret": f"well, it is {SECRET} today", "tell what may not be told": "it is about Project Nightjar and more"}
    answers = [choice.message.content for choice in ask("tell a secret", n=3).choices]
    check("openai: a secret is taken out of every one of parallel choices", len(answers) == 3 and not any(SECRET in answer for answer in answers), str(answers))
    said = {0: "", 1: "", 2: ""}
    for chunk in ask("tell a secret", n=3, stream=True):
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
    check("openai: and out of every one that is streamed", all(text.startswith("well, it is ") and text.endswith(" today") and SECRET not in text for text in said.values()), str(said))
    said = {0: "", 1: ""}
    for chunk in ask("a longer answer, word by word", n=2, stream=True):
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
    check("openai: parallel choices of a stream are whole", set(said.values()) == {"a longer answer, word by word"}, str(said))
    texts = [choice.text for choice in client.completions.create(model="echo", prompt="good day", n=2).choices]
    check("openai: parallel completions", texts == ["good day"] * 2, str(texts))
    said = "".join(part.choices[0].text for part in client.completions.create(model="echo", prompt="good day to you", stream=True) if part.choices)
    check("openai: streamed completions", said == "good day to you", said)
    said = "".join(part.choices[0].text for part in client.completions.create(model="echo", prompt="tell a secret", stream=True) if part.choices)
    check("openai: a secret is taken out of streamed completions", SECRET not in said and said.endswith(" today"), said)
    said, error = "", None
    try:
        for chunk in ask("tell what may not be told", stream=True):
            said += (chunk.choices[0].delta.content or "") if chunk.choices else ""
    except openai.APIError as raised:
        error = raised
    check("openai: a stream that turns bad ends before it, with an error of the client's own", error is not None and "Nightjar" not in said and said.startswith("it is"), f"{said!r} {error}")


async def openai_async(base, key):
    """A call that is given up while the model still speaks."""
    Model.gone.clear()
    async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0) as client:
        ask = lambda text, **more: client.chat.completions.create(model="echo", messages=[{"role": "user", "content": text}], **more)
        answers = await asyncio.gather(*(ask(f"number {number}") for number in range(8)))
        check("openai: asynchronous calls side by side", [answer.choices[0].message.content for answer in answers] == [f"number {number}" for number in range(8)])

        async def endless():
            async for _ in await ask("never end", stream=True):
                pass

        task = asyncio.create_task(endless())
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        gone = await asyncio.to_thread(Model.gone.wait, 30)
        check("openai: an asynchronous call that is cancelled ends the model's work", gone and task.cancelled())


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
    Model.sayings = {"tell a secret": f"well, it is {SECRET} today", "tell what may not be told": "it is about Project Nightjar and more"}
    streamed = lambda text: client.messages.stream(model="echo", max_tokens=64, messages=[{"role": "user", "content": text}])
    with streamed("tell a secret") as stream:
        said = "".join(stream.text_stream)
    check("anthropic: a secret is taken out of a stream", SECRET not in said and said.startswith("well, it is ") and said.endswith(" today"), said)
    said, error = "", None
    try:
        with streamed("tell what may not be told") as stream:
            for part in stream.text_stream:
                said += part
    except anthropic.APIError as raised:
        error = raised
    check("anthropic: a stream that turns bad ends before it, with an error of the client's own", error is not None and "Nightjar" not in said and said.startswith("it is"), f"{said!r} {error}")
    before = len(Model.seen)
    error = raises(anthropic.PermissionDeniedError, lambda: streamed("tell me about Project Nightjar").__enter__())
    check("anthropic: a stream that is refused before it begins is the same error", error is not None and len(Model.seen) == before, str(error))
    Model.failures, before = 1, len(Model.seen)
    check("anthropic: retries", ask("once more").content[0].text == "once more" and len(Model.seen) == before + 2)


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def langchain(name, chat, refused):
    """LangChain's chat models, as programs use them: whole, in chains, streamed, with tools, asynchronous, refused."""
    Model.sayings = {"tell a secret": f"well, it is {SECRET} today", "tell what may not be told": "it is about Project Nightjar and more"}
    spoken = lambda message: str(message.text)
    check(f"{name}: plain", spoken(chat.invoke("good morning")) == "good morning")
    chain = ChatPromptTemplate.from_messages([("system", "you are brief"), ("human", "{words}")]) | chat
    check(f"{name}: a chain", spoken(chain.invoke({"words": "good day"})) == "good day")
    check(f"{name}: a batch", [spoken(message) for message in chat.batch(["one", "two", "three"])] == ["one", "two", "three"])
    usage = chat.invoke("good morning").usage_metadata
    check(f"{name}: usage", usage["output_tokens"] > 0, str(usage))
    said = "".join(spoken(part) for part in chat.stream("a longer answer, word by word"))
    check(f"{name}: stream", said == "a longer answer, word by word", said)
    able = chat.bind_tools([weather])
    asked = able.invoke([SystemMessage("use the tool"), HumanMessage("Paris")])
    check(f"{name}: tool call", [(call["name"], call["args"]) for call in asked.tool_calls] == [("weather", {"city": "Paris"})], str(asked.tool_calls))
    whole = None
    for part in able.stream("Paris"):
        whole = part if whole is None else whole + part
    check(f"{name}: streamed tool call", [(call["name"], call["args"]) for call in whole.tool_calls] == [("weather", {"city": "Paris"})], str(whole.tool_calls))
    call = asked.tool_calls[0]
    answered = [HumanMessage("Paris"), asked, ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]), HumanMessage("thanks")]
    check(f"{name}: what a tool answered goes back", spoken(chat.invoke(answered)) == "thanks" and b"sunny in Paris" in Model.seen[-1][2])
    before = len(Model.seen)
    error = raises(refused, lambda: chat.invoke("tell me about Project Nightjar"))
    check(f"{name}: a refusal is an error of the client's own, and is not tried again", error is not None and len(Model.seen) == before, str(error))
    answered[2] = ToolMessage("it is about Project Nightjar", tool_call_id=call["id"])
    error = raises(refused, lambda: chat.invoke(answered))
    check(f"{name}: and so is what a tool brings in", error is not None and len(Model.seen) == before, str(error))
    check(f"{name}: a secret is taken out", SECRET not in (text := spoken(chat.invoke("tell a secret"))) and text.startswith("well, it is "), text)
    said = "".join(spoken(part) for part in chat.stream("tell a secret"))
    check(f"{name}: a secret is taken out of a stream", SECRET not in said and said.startswith("well, it is ") and said.endswith(" today"), said)
    said, error = [], None
    try:
        said += [spoken(part) for part in chat.stream("tell what may not be told")]
    except Exception as raised:  # which of the client's errors it is differs between the two
        error = raised
    check(f"{name}: a stream that turns bad ends before it", error is not None and "Nightjar" not in "".join(said), f"{said} {error}")

    async def several():
        answers = await asyncio.gather(*(chat.ainvoke(f"number {number}") for number in range(4)))
        streamed = [spoken(part) async for part in chat.astream("a longer answer, word by word")]
        return [spoken(answer) for answer in answers], "".join(streamed)

    answers, said = asyncio.run(several())
    check(f"{name}: asynchronous, side by side and streamed", answers == [f"number {number}" for number in range(4)] and said == "a longer answer, word by word", f"{answers} {said}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mantlet", required=True)
    parser.add_argument("--work", required=True)
    options = parser.parse_args()
    work = pathlib.Path(options.work).resolve() / "clients"
    shutil.rmtree(work, ignore_errors=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    upstream = f'upstream = "http://127.0.0.1:{server.server_port}"\nspeaks = "text"\n'
    process, base, key = start_gateway(str(pathlib.Path(options.mantlet).resolve()), work, upstream)
    try:
        openai_client(base, key)
        anthropic_client(base, key)
        over_openai = ChatOpenAI(model="echo", base_url=f"{base}/v1", api_key=key, max_retries=1, stream_usage=True)
        langchain("langchain-openai", over_openai, openai.PermissionDeniedError)
        embeddings = OpenAIEmbeddings(model="echo", base_url=f"{base}/v1", api_key=key, check_embedding_ctx_length=False)
        check("langchain-openai: embeddings", embeddings.embed_query("good day") == [0.1, 0.2])
        over_anthropic = ChatAnthropic(model="echo", base_url=base, api_key=key, max_tokens=64, max_retries=1)
        langchain("langchain-anthropic", over_anthropic, anthropic.PermissionDeniedError)
    finally:
        stop(process)
        server.shutdown()
    print("the clients work unmodified")


if __name__ == "__main__":
    main()
