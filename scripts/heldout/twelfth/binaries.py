"""Small executables for the samples that hide one: they start a shell that leaves the marker, and are never run."""
import struct


def elf(command=b"touch marker"):
    """A static x86-64 ELF that executes `sh -c command`."""
    texts = b"/bin/sh\0-c\0" + command + b"\0"
    size = 2 + 1 + 8 + 8 + 8 + 3 + 5 + 2
    sh, dash, run = size, size + 8, size + 11
    code = b"\x31\xd2\x52"
    for op, at, push in ((b"\x48\x8d\x05", run, b"\x50"), (b"\x48\x8d\x05", dash, b"\x50"), (b"\x48\x8d\x3d", sh, b"\x57")):
        code += op + struct.pack("<i", at - (len(code) + 7)) + push
    code += b"\x48\x89\xe6\xb8\x3b\0\0\0\x0f\x05"
    assert len(code) == size, (len(code), size)
    base, offset = 0x400000, 120
    total = offset + len(code) + len(texts)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + offset, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, total, total, 0x1000) + code + texts


def pe(command=b"cmd.exe /c echo > marker"):
    """A PE32+ console image with one section; its code returns, its data names the command."""
    dos = b"MZ" + struct.pack("<29H", *([0x90, 3, 0, 4, 0, 0xFFFF, 0, 0xB8, 0, 0, 0, 0x40] + [0] * 17)) + struct.pack("<I", 0x80)
    dos += bytes.fromhex("0e1fba0e00b409cd21b8014ccd21") + b"This program cannot be run in DOS mode.\r\r\n$"
    dos = dos.ljust(0x80, b"\0")
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0x66000000, 0, 0, 240, 0x22)
    optional = struct.pack("<HBBIIIII", 0x20B, 14, 0, 0x200, 0, 0, 0x1000, 0x1000)
    optional += struct.pack("<QIIHHHHHHIIIIHHQQQQII", 0x140000000, 0x1000, 0x200, 6, 0, 0, 0, 6, 0, 0, 0x2000, 0x200, 0, 3, 0x8160, 1 << 20, 4096, 1 << 20, 4096, 0, 16)
    optional += bytes(128)
    section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 0x200, 0x1000, 0x200, 0x200, 0, 0, 0, 0, 0x60000020)
    head = (dos + coff + optional + section).ljust(0x200, b"\0")
    return head + (b"\x48\x31\xc0\xc3" + command).ljust(0x200, b"\xcc")
