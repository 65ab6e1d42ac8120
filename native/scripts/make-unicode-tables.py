#!/usr/bin/env python3.11
"""Writes native/core/text/unicode_tables.h from Python's Unicode 14.0 data, and the sums that text_test.cc compares.

  python3.11 native/scripts/make-unicode-tables.py          write the table
  python3.11 native/scripts/make-unicode-tables.py --check  fail if the table in the tree is another one
  python3.11 native/scripts/make-unicode-tables.py --sums   print the sums of every code point and of random strings
"""
import pathlib
import sys
import unicodedata as u

assert u.unidata_version == "14.0.0", f"the format fixes Unicode 14.0, this Python has {u.unidata_version}"
TABLE = pathlib.Path(__file__).resolve().parent.parent / "core" / "text" / "unicode_tables.h"
POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
HANGUL = range(0xAC00, 0xD7A4)


def nfd(s):
    return u.normalize("NFD", s)


def decompositions():
    """One step each, as in UnicodeData.txt; Hangul syllables are computed by the reader of the table."""
    rows = []
    for c in POINTS:
        d = u.decomposition(chr(c))
        if d and not d.startswith("<"):
            parts = [int(x, 16) for x in d.split()]
            assert len(parts) <= 2 and c >= 0xC0
            rows.append((c, parts[0], parts[1] if len(parts) == 2 else 0))
    return rows


def compositions(rows):
    """Indexes of the decompositions that compose again, by (first, second): NFC leaves exactly those alone."""
    pairs = [i for i, (c, _, b) in enumerate(rows) if b and u.normalize("NFC", chr(c)) == chr(c)]
    return sorted(pairs, key=lambda i: rows[i][1:])


def classes():
    rows = []
    for c in POINTS:
        k = u.combining(chr(c))
        if not k:
            continue
        assert c >= 0x300
        if rows and rows[-1][1] == c - 1 and rows[-1][2] == k:
            rows[-1][1] = c
        else:
            rows.append([c, c, k])
    return rows


def folds():
    """Foldings to one code point as runs (first, last, step, distance), and those to several."""
    simple, full = [], []
    for c in POINTS:
        f = [ord(x) for x in chr(c).casefold()]
        if len(f) > 1:
            full.append((c, *f, *[0] * (3 - len(f))))
        elif f[0] != c:
            simple.append((c, f[0] - c))
    runs = []
    for c, distance in simple:
        last = runs[-1] if runs else None
        if last and last[3] == distance and c - last[1] in (1, 2) and last[2] in (0, c - last[1]):
            last[1], last[2] = c, c - last[1]
        else:
            runs.append([c, c, 0, distance])
    return [(a, b, s or 1, d) for a, b, s, d in runs], full


def array(declaration, cells):
    lines, line = [], " "
    for cell in cells:
        if len(line) + len(cell) + 2 > 112:
            lines.append(line)
            line = " "
        line += f" {cell},"
    return f"constexpr {declaration}[] = {{\n" + "\n".join([*lines, line]) + "\n};\n"


def number(n):
    return str(n) if -10 < n < 10 else f"-0x{-n:X}" if n < 0 else f"0x{n:X}"


def row(values):
    return "{" + ",".join(number(v) for v in values) + "}"


def table():
    one_step = decompositions()
    simple, full = folds()
    # unicode.cc reserves this much for a decomposition, so that a passphrase never moves while it grows.
    assert all(2 * len(nfd(chr(c))) <= 3 * len(chr(c).encode()) for c in POINTS)
    return "\n".join([
        "// Unicode 14.0, made by native/scripts/make-unicode-tables.py. Do not edit.",
        "// clang-format off",
        "#pragma once",
        "#include <cstdint>",
        "",
        "namespace mg::text::tables {",
        "",
        "// Canonical, one step; second is 0 where there is only one.",
        "struct Decomposition { char32_t from, first, second; };",
        array("Decomposition kDecompositions", [row(r) for r in one_step]),
        "// Indexes into kDecompositions of what composes again, by (first, second); exclusions are left out.",
        array("uint16_t kCompositions", [str(i) for i in compositions(one_step)]),
        "// Canonical combining class, where not 0.",
        "struct ClassRange { char32_t first, last; uint8_t value; };",
        array("ClassRange kClasses", [row(r) for r in classes()]),
        "// Case folding: every step-th code point from first to last folds to itself + distance.",
        "struct FoldRange { char32_t first, last; uint8_t step; int32_t distance; };",
        array("FoldRange kFolds", [row(r) for r in simple]),
        "// Case folding to several code points, which end at the first 0.",
        "struct FullFold { char32_t from, to[3]; };",
        array("FullFold kFullFolds", ["{" + number(r[0]) + "," + row(r[1:]) + "}" for r in full]),
        "}  // namespace mg::text::tables",
        "",
    ])


def sums():
    """FNV-1a over the results, each ended by 0xFF. xorshift64 picks the characters of the random strings."""
    def fnv(strings):
        h = 0xCBF29CE484222325
        for s in strings:
            for byte in (*s.encode(), 0xFF):
                h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
        return f"0x{h:016x}"

    def key(s):
        return nfd(nfd(s).casefold())

    # Characters that fold or decompose, and marks and letters that compose; text_test.cc builds the same list.
    ranges = ((0x41, 0x5B), (0x300, 0x370), (0x591, 0x5C0), (0x64B, 0x671), (0x93C, 0x93D), (0x9BE, 0x9BF),
              (0xDCA, 0xDE0), (0x102E, 0x102F), (0x1100, 0x1113), (0x1161, 0x1176), (0x11A7, 0x11C3),
              (0x3099, 0x309B), (0xAC00, 0xAC80), (0x11127, 0x11128), (0x1D165, 0x1D173))
    active = [c for c in POINTS if c not in HANGUL and key(chr(c)) != chr(c)]
    active += [c for first, end in ranges for c in range(first, end)]
    state, strings = 0x6D6F64656C677561, []
    for _ in range(20000):
        s = ""
        for _ in range(8):
            state ^= state << 13 & 0xFFFFFFFFFFFFFFFF
            state ^= state >> 7
            state ^= state << 17 & 0xFFFFFFFFFFFFFFFF
            s += chr(active[state % len(active)])
        strings.append(s)
    every = [chr(c) for c in POINTS]
    print("characters to pick from:", len(active))
    for name, f in (("nfc", lambda s: u.normalize("NFC", s)), ("caseless", key)):
        print(f"{name} of every code point {fnv(map(f, every))}, of random strings {fnv(map(f, strings))}")


if __name__ == "__main__":
    if "--sums" in sys.argv:
        sums()
    elif "--check" in sys.argv:
        sys.exit(0 if TABLE.read_text() == table() else f"{TABLE} is not what this script makes")
    else:
        TABLE.write_text(table())
