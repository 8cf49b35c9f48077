//! The cost of hostile texts, and that remembering changes nothing.

use super::*;

fn matcher(regexes: &[&str]) -> Matcher {
    let pattern = |regex: &&str| Pattern::new(Room::BlockedTerm, regex, "X", regex, |_| Some((1.0, 0)));
    Matcher::new(regexes.iter().map(pattern).collect(), false).expect("they compile")
}

fn all(matcher: &Matcher, text: &[u8], chunk: usize) -> (Vec<Found>, usize) {
    let (mut cursor, mut found) = (Cursor::default(), Vec::new());
    for end in (chunk..text.len()).step_by(chunk) {
        matcher.advance(&mut cursor, &text[..end], 0, None, false, &mut found);
    }
    matcher.advance(&mut cursor, text, 0, None, true, &mut found);
    (found, cursor.steps)
}

#[test]
fn a_text_of_beginnings_takes_few_steps_a_byte_and_finds_what_going_every_way_finds() {
    let matcher =
        matcher(&[r"\b[a-z][a-z.]*@[a-z]+", r"\b[a-z]+(?:\.[a-z]+){80,}!", r"\]\(//[^\s)]{4,}", r"x{70}y?"]);
    let hostile: [Vec<u8>; 4] = [
        b"a.".repeat(40_000),
        b"](//".repeat(20_000),
        [b"a.".repeat(3_000), b"@b.".to_vec(), b"a.".repeat(5_000), b"!".to_vec()].concat(),
        b"x".repeat(9_000),
    ];
    for text in &hostile {
        let (found, steps) = all(&matcher, text, text.len());
        assert!(steps < text.len() * 100, "{steps} steps for {} bytes", text.len());
        assert_eq!(all(&matcher, text, 997).0, found);
    }
    // Against a new cursor at every start, which has nothing to remember.
    let mut seed = 1_u64;
    for round in 0..8 {
        let text: Vec<u8> = (0..9_000)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let alphabet: &[u8] = if round % 2 == 0 {
                    b"a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.@! "
                } else {
                    b"xxxxxxxxxxxxxxxxxxxy](//a)"
                };
                alphabet[(seed >> 40) as usize % alphabet.len()]
            })
            .collect();
        let mut apart = Vec::new();
        for start in 0..text.len() {
            let mut cursor = Cursor { start, ..Cursor::default() };
            let mut found = Vec::new();
            // One start only: what is found from it has this start.
            matcher.one(&mut cursor, &text, &mut found);
            apart.extend(found);
        }
        assert_eq!(all(&matcher, &text, text.len()).0, apart, "round {round}");
    }
}
