//! XML as far as it can make a parser read files, call out or run out of memory: its document type.

/// What a document type declares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Xml {
    /// The root element.
    pub root: String,
    /// Entities and document types that come from elsewhere: what is read.
    pub external: Vec<(String, u64)>,
    /// Elements of XInclude: what is read.
    pub includes: Vec<(String, u64)>,
    /// How many characters the largest entity stands for, when more than written.
    pub expansion: u64,
    /// There are more entities, or references in one, than are counted.
    pub unfollowed: bool,
    /// What is wrong.
    pub defect: Option<String>,
}

const MAX_ENTITIES: usize = 4_096;
/// References to entities in the value of one.
const MAX_REFERENCES: usize = 100_000;
/// Characters that entities may stand for before it counts as an attack.
const MAX_EXPANSION: u64 = 10_000_000;

/// Whether text begins like XML.
#[must_use]
pub fn is_xml(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with("<?xml") || text.starts_with("<!DOCTYPE") && !text.to_ascii_lowercase().contains("<html")
}

/// The facts of XML text.
#[must_use]
pub fn analyse(text: &str) -> Xml {
    let mut xml = Xml::default();
    let mut sizes: Vec<(String, u64)> = Vec::new();
    let mut rest = text;
    // The prolog: declarations, comments and the document type, up to the first element.
    while let Some(open) = rest.find('<') {
        rest = &rest[open..];
        if let Some(inner) = rest.strip_prefix("<!--") {
            rest = inner.find("-->").map_or("", |end| &inner[end + 3..]);
        } else if rest.starts_with("<?") {
            rest = rest.find("?>").map_or("", |end| &rest[end + 2..]);
        } else if rest.starts_with("<!DOCTYPE") {
            rest = document_type(text, rest, &mut xml, &mut sizes);
        } else {
            xml.root = rest[1..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))
                .take(80)
                .collect();
            break;
        }
    }
    if text.contains("http://www.w3.org/2001/XInclude") {
        let elements = text.match_indices("include").filter(|(found, _)| {
            text[..*found].chars().next_back().is_some_and(|before| matches!(before, ':' | '<'))
        });
        for (found, _) in elements.take(16) {
            let tag = text[found..].split('>').next().unwrap_or("");
            if let Some(target) = attribute(tag, "href") {
                xml.includes.push((target, found as u64));
            }
        }
    }
    xml
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let after = tag.split(name).nth(1)?.trim_start().strip_prefix('=')?.trim_start();
    quoted(after).map(|(value, _)| value.chars().take(200).collect())
}

/// A quoted value and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inner = &text[1..];
    let end = inner.find(quote)?;
    Some((&inner[..end], &inner[end + 1..]))
}

fn document_type<'t>(whole: &str, text: &'t str, xml: &mut Xml, sizes: &mut Vec<(String, u64)>) -> &'t str {
    let at = (whole.len() - text.len()) as u64;
    let mut rest = &text["<!DOCTYPE".len()..];
    let head = rest.split(['[', '>']).next().unwrap_or("");
    if let Some(target) = external(head) {
        xml.external.push((format!("document type {target}"), at));
    }
    rest = &rest[head.len()..];
    if !rest.starts_with('[') {
        return rest.strip_prefix('>').unwrap_or(rest);
    }
    rest = &rest[1..];
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            xml.defect = Some("its document type does not end".into());
            return rest;
        }
        if let Some(after) = rest.strip_prefix(']') {
            return after.trim_start().strip_prefix('>').unwrap_or(after);
        }
        if let Some(inner) = rest.strip_prefix("<!--") {
            rest = inner.find("-->").map_or("", |end| &inner[end + 3..]);
            continue;
        }
        let at = (whole.len() - rest.len()) as u64;
        let Some(declaration) = rest.strip_prefix("<!ENTITY") else {
            if let Some(name) = rest.strip_prefix('%') {
                rest = name.find(';').map_or("", |end| &name[end + 1..]);
            } else {
                rest = skip_declaration(rest);
            }
            continue;
        };
        let declaration = declaration.trim_start();
        let declaration = declaration.strip_prefix('%').map_or(declaration, str::trim_start);
        let name: String = declaration.chars().take_while(|c| !c.is_whitespace()).take(80).collect();
        let value = declaration.get(name.len()..).unwrap_or("").trim_start();
        if let Some((text, _)) = quoted(value) {
            xml.unfollowed |= text.split('&').nth(MAX_REFERENCES + 1).is_some();
            let size = expanded(text, sizes);
            if size > MAX_EXPANSION {
                xml.expansion = xml.expansion.max(size);
            }
            if sizes.len() < MAX_ENTITIES {
                sizes.push((name, size));
            } else {
                xml.unfollowed = true;
            }
        } else if let Some(target) = external(value) {
            xml.external.push((format!("entity `{name}` {target}"), at));
        }
        rest = skip_declaration(rest);
    }
}

/// Over one declaration, its quoted values included.
fn skip_declaration(text: &str) -> &str {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return &text[at + 1..],
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    ""
}

/// `SYSTEM "x"` or `PUBLIC "y" "x"`.
fn external(text: &str) -> Option<String> {
    let text = text.trim_start();
    let at = ["SYSTEM", "PUBLIC"].iter().find_map(|word| text.find(word).map(|at| (at, *word)))?;
    let mut rest = text[at.0 + 6..].trim_start();
    if at.1 == "PUBLIC" {
        rest = quoted(rest)?.1.trim_start();
    }
    let (target, _) = quoted(rest)?;
    Some(format!("reads `{}`", target.chars().take(200).collect::<String>()))
}

/// How long a value is with the entities in it written out.
fn expanded(text: &str, sizes: &[(String, u64)]) -> u64 {
    let mut total = text.len() as u64;
    for part in text.split('&').skip(1).take(MAX_REFERENCES) {
        let name = part.split(';').next().unwrap_or("");
        if let Some((_, size)) = sizes.iter().rev().find(|(known, _)| known == name) {
            total = total.saturating_add(*size);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_from_elsewhere_and_without_end_are_seen() {
        let xml = analyse(
            "<?xml version='1.0'?><!DOCTYPE PMML [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><PMML>&x;</PMML>",
        );
        assert_eq!(xml.external[0].0, "entity `x` reads `file:///etc/passwd`");
        assert_eq!(xml.root, "PMML");
        let mut bomb = String::from("<!DOCTYPE a [<!ENTITY e0 'xxxxxxxxxx'>");
        for level in 1..12 {
            bomb.push_str(&format!("<!ENTITY e{level} '{}'>", format!("&e{};", level - 1).repeat(10)));
        }
        assert!(analyse(&(bomb + "]><a/>")).expansion > 1_000_000_000);
        let include = "<a xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href=\"/etc/passwd\" parse='text'/></a>";
        assert_eq!(analyse(include).includes[0].0, "/etc/passwd");
        let parameter = "<!DOCTYPE a [<!ENTITY % p PUBLIC \"-//x\" \"http://x.example/e.dtd\"> %p;]><a/>";
        assert_eq!(analyse(parameter).external.len(), 1);
        let plain = analyse("<?xml version='1.0'?><!-- <!DOCTYPE a SYSTEM 'x'> --><PMML version='4.4'/>");
        assert_eq!(plain, Xml { root: "PMML".into(), ..Xml::default() });
    }
}
