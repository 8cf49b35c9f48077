"""The features of a text, as `crates/mantlet-detectors/src/text/linear.rs` makes them; the two must agree to the bit.

A text is read in lower case, without accents and without what nobody sees, as units: sentences, cut where they are
long. A unit's features are hashed into buckets: its words, pairs and triples of words, every five letters, how it
begins, and which kinds of words of orders (`lexicon.rs`) follow one another.
"""

import functools
import os
import re
import unicodedata

import numpy as np

BUCKETS = 1 << 18
LONGEST = 40  # words of a unit
WRAPPED = 60  # characters of a line from which its end may be no end of a sentence
GAP = 6  # words between two kinds of words that count as following one another
LETTERS = 5
SIGNS = "@$!|+"
SPACE = " \t\r\f"
MASK = (1 << 64) - 1

HERE = os.path.dirname(os.path.abspath(__file__))
LEXICON = os.path.join(HERE, "../../crates/mantlet-detectors/src/text/lexicon.rs")


def classes():
    with open(LEXICON, encoding="utf8") as file:
        text = file.read()
    table = text[text.index("CLASSES") : text.index("What a pattern speaks of")]
    found = re.findall(r"\(\s*b'.',\s*r\"(.*?)\",?\s*\)", table, re.S)
    assert len(found) == 29, len(found)
    return [re.compile(f"(?:{words})".replace(r"\w*", "[^ ]*").replace(r"\S*", "[^ ]*")) for words in found]


CLASSES = classes()


@functools.lru_cache(maxsize=None)
def word_class(word):
    for index, pattern in enumerate(CLASSES):
        if pattern.fullmatch(word):
            return index
    return None


def ideograph(c):
    o = ord(c)
    return 0x3040 <= o <= 0x30FF or 0x3400 <= o <= 0x4DBF or 0x4E00 <= o <= 0x9FFF or 0xAC00 <= o <= 0xD7AF or 0xF900 <= o <= 0xFAFF


@functools.lru_cache(maxsize=None)
def word_classes(word):
    """The kinds of words in a word: one, or in scripts without spaces the longest known ones one after another."""
    if not ideograph(word[0]):
        found = word_class(word)
        return () if found is None else (found,)
    found, at = [], 0
    while at < len(word):
        for size in range(min(6, len(word) - at), 0, -1):
            kind = word_class(word[at : at + size])
            if kind is not None:
                found.append(kind)
                at += size
                break
        else:
            at += 1
    return tuple(found)


def read(text):
    """Words, and after how many of them a unit ends with a question mark (True) or otherwise."""
    words, word, ends, open_end, line, blank = [], [], [], None, 0, False

    def end():
        while word and word[-1] in SIGNS:
            word.pop()
        if word:
            words.append("".join(word))
            word.clear()

    for c in text[: 1 << 16]:
        # A line that is long enough to be wrapped goes on in the next one, unless that is empty.
        if c == "\n":
            if (line < WRAPPED or blank) and open_end is None:
                open_end = False
            line, blank = 0, True
        else:
            line += 1
            blank = blank and c in SPACE
        if open_end is not None and (c in SPACE or c == "\n"):
            end()
            if words and (not ends or ends[-1][0] < len(words)):
                ends.append((len(words), open_end))
            open_end = None
        if c.isascii():
            if c.isalnum():
                open_end = None
                word.append(c.lower())
            elif c in SIGNS and word:
                word.append(c)
                if c in "!|":
                    open_end = False
            elif c != "'":
                end()
                if c in ".:;?!|":
                    open_end = c == "?"
            continue
        folded = unicodedata.normalize("NFKD", c)
        if c in "\u2018\u2019\u02bc" or unicodedata.category(c) in ("Cf", "Mn"):
            continue
        if ideograph(c):
            word.append(c)
        elif c == "ß":
            word.extend("ss")
        elif folded[0].isalnum() and folded[0].isascii():
            word.extend(x.lower() for x in folded if x.isascii() and x.isalnum())
        elif c.isalnum():
            word.append(c.lower())
        else:
            end()
    end()
    if open_end is not None and words and (not ends or ends[-1][0] < len(words)):
        ends.append((len(words), open_end))
    return words, ends


def units(words, ends):
    """Runs of words with how they end: True for a question."""
    found, start = [], 0
    for stop, asks in ends + [(len(words), False)]:
        while start < stop:
            cut = min(stop, start + LONGEST)
            found.append((words[start:cut], asks and cut == stop))
            start = cut
    return found


def mix(value):
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & MASK
    return value ^ value >> 33


@functools.lru_cache(maxsize=None)
def fnv(word):
    value = 0xCBF29CE484222325
    for byte in word.encode():
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value


def turn(value, by):
    return (value << by | value >> (64 - by)) & MASK


def features(unit, asks):
    """Buckets of a unit's features, one for each time one occurs."""
    found, kinds = [], []
    before = last = 0
    for place, word in enumerate(unit):
        value = fnv(word)
        found.append(value)
        if place:
            found.append(value ^ turn(before, 21))
        if place > 1:
            found.append(value ^ turn(before, 21) ^ turn(last, 42))
        before, last = value, before
        kinds.extend((place, kind) for kind in word_classes(word))
    found.append(fnv(unit[0]) ^ (0xA5A5 << 40))
    if len(unit) > 1:
        found.append(fnv(unit[0]) ^ turn(fnv(unit[1]), 21) ^ (0xA5A5 << 40))
    found.append((2 if asks else 1) << 56)
    for at, (place, kind) in enumerate(kinds):
        found.append(kind << 8 | 3 << 56)
        for after, follower in kinds[at + 1 :]:
            if after - place > GAP:
                break
            found.append(kind << 8 | follower << 16 | 4 << 56)
    buckets = [mix(value) % BUCKETS for value in found]
    line = np.frombuffer((" " + " ".join(unit) + " ").encode(), dtype=np.uint8).astype(np.uint64)
    if len(line) >= LETTERS:
        value = np.zeros(len(line) - LETTERS + 1, dtype=np.uint64)
        for at in range(LETTERS):
            value = value << np.uint64(8) | line[at : at + len(value)]
        value |= np.uint64(5 << 56)
        value ^= value >> np.uint64(33)
        value = value * np.uint64(0xFF51AFD7ED558CCD)
        value ^= value >> np.uint64(33)
        buckets.extend((value % np.uint64(BUCKETS)).tolist())
    return buckets
