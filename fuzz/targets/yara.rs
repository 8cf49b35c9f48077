//! Any text as YARA rules, and any bytes looked at with them and with rules of each kind: found inside, the same twice.
#![no_main]

mod support;

use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mantlet_scan::UserRules as _;
use mantlet_vocab::Place;
use mantlet_yara::Rules;

/// Rules whose strings and conditions are of each kind.
const FIXED: &str = r#"
import "math"
import "hash"
rule text { strings: $a = "abc" nocase wide ascii $b = "key" fullword xor condition: any of them }
rule bytes { strings: $a = { 50 4B ?? ( 03 | 05 ) [0-8] 00 } condition: #a > 1 or @a[1] < filesize \ 2 }
rule regex { strings: $a = /im(port|age)\s+[a-z]{1,9}/ condition: for any i in (1..#a): (!a[i] > 0) }
rule sums { condition: math.entropy(0, filesize) > 7.5 and uint16(0) == 0x5A4D and hash.md5(0, 4) != "" }
"#;

fn fixed() -> &'static Rules {
    static FIXED_RULES: OnceLock<Rules> = OnceLock::new();
    FIXED_RULES.get_or_init(|| Rules::of_text(FIXED).ok().flatten().expect("the rules above are rules"))
}

fuzz_target!(|data: &[u8]| {
    let Some((&cut, data)) = data.split_first() else { return };
    let place = Place::artifact("model");
    let look = |rules: &Rules, bytes: &[u8]| {
        let source = support::source(bytes);
        let found = support::shown(bytes, || rules.judge(&source, &place).findings);
        for span in found.iter().filter_map(|finding| finding.place.span) {
            assert!(span.offset + span.len <= bytes.len() as u64, "{span:?} lies inside");
        }
    };
    // One input in four is rules and what they look at; compiling costs more than looking.
    if cut % 4 != 0 {
        return look(fixed(), data);
    }
    let (rules, bytes) = data.split_at(data.len() * usize::from(cut) / 256);
    if let Ok(Some(rules)) = Rules::of_text(&String::from_utf8_lossy(rules)) {
        look(&rules.patience(Duration::from_secs(2)), bytes);
    }
});
