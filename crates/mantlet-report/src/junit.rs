//! JUnit XML, which every build server shows: one test case for each thing that was tried.
//!
//! The dialect is that of the Jenkins xUnit plug-in's schema `junit-10.xsd`: `testsuites`, `testsuite`, `testcase`,
//! and in it `failure` or `error`. What was not examined is an error and never passes.

use std::io::Write as _;

use quick_xml::Writer;
use quick_xml::events::BytesText;

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JunitOutcome {
    /// Nothing was found.
    Passed,
    /// What was feared is so: a sentence, and the details.
    Failed(String, String),
    /// It could not be told: a sentence, and the details.
    Unknown(String, String),
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq)]
pub struct JunitCase {
    /// Its family, the class name of the case.
    pub family: String,
    /// Its name.
    pub name: String,
    /// Seconds it took.
    pub seconds: f64,
    /// How it ended.
    pub outcome: JunitOutcome,
}

/// A suite of cases as JUnit XML, ending in a line end. Characters that XML 1.0 forbids are replaced.
#[must_use]
pub fn junit(suite: &str, cases: &[JunitCase]) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Writing to memory does not fail.
    let _ = write(&mut writer, suite, cases);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    text += &String::from_utf8_lossy(&writer.into_inner());
    text.push('\n');
    text
}

fn write(writer: &mut Writer<Vec<u8>>, suite: &str, cases: &[JunitCase]) -> std::io::Result<()> {
    let failed = cases.iter().filter(|case| matches!(case.outcome, JunitOutcome::Failed(..))).count();
    let unknown = cases.iter().filter(|case| matches!(case.outcome, JunitOutcome::Unknown(..))).count();
    let seconds: f64 = cases.iter().map(|case| case.seconds).sum();
    let suite = allowed(suite);
    let counts = [
        ("name", suite),
        ("tests", cases.len().to_string()),
        ("failures", failed.to_string()),
        ("errors", unknown.to_string()),
        ("time", format!("{seconds:.3}")),
    ];
    let counts = || counts.iter().map(|(name, value)| (*name, value.as_str()));
    writer.create_element("testsuites").with_attributes(counts()).write_inner_content(|writer| {
        writer
            .create_element("testsuite")
            .with_attributes(counts())
            .write_inner_content(|writer| cases.iter().try_for_each(|case| write_case(writer, case)))?;
        Ok(())
    })?;
    writer.get_mut().flush()
}

fn write_case(writer: &mut Writer<Vec<u8>>, case: &JunitCase) -> std::io::Result<()> {
    let (family, name, time) = (allowed(&case.family), allowed(&case.name), format!("{:.3}", case.seconds));
    let element = writer.create_element("testcase").with_attributes([
        ("classname", family.as_str()),
        ("name", name.as_str()),
        ("time", time.as_str()),
    ]);
    let (tag, message, detail) = match &case.outcome {
        JunitOutcome::Passed => {
            element.write_empty()?;
            return Ok(());
        }
        JunitOutcome::Failed(message, detail) => ("failure", message, detail),
        JunitOutcome::Unknown(message, detail) => ("error", message, detail),
    };
    let (message, detail) = (allowed(message), allowed(detail));
    element.write_inner_content(|writer| {
        let inner = writer.create_element(tag).with_attribute(("message", message.as_str()));
        inner.write_text_content(BytesText::new(&detail))?;
        Ok(())
    })?;
    Ok(())
}

/// The text without what XML 1.0 (section 2.2) forbids.
fn allowed(text: &str) -> String {
    let forbidden =
        |c: char| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if forbidden(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_what_is_unknown_and_what_passed_is_told_apart_and_escaped() {
        let case = |name: &str, outcome| JunitCase {
            family: "evasion".into(),
            name: name.into(),
            seconds: 0.25,
            outcome,
        };
        let text = junit(
            "a <model>",
            &[
                case(
                    "evasion-pgd",
                    JunitOutcome::Failed("9 of 10 \"rows\"".into(), "0 < 1 & 1 > 0\u{1b}[31m".into()),
                ),
                case("evasion-square", JunitOutcome::Passed),
                case("backdoor-trigger", JunitOutcome::Unknown("not examined".into(), "no rows".into())),
            ],
        );
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites name=\"a &lt;model&gt;\" tests=\"3\" failures=\"1\" errors=\"1\" time=\"0.750\">
  <testsuite name=\"a &lt;model&gt;\" tests=\"3\" failures=\"1\" errors=\"1\" time=\"0.750\">
    <testcase classname=\"evasion\" name=\"evasion-pgd\" time=\"0.250\">
      <failure message=\"9 of 10 &quot;rows&quot;\">0 &lt; 1 &amp; 1 &gt; 0\u{fffd}[31m</failure>
    </testcase>
    <testcase classname=\"evasion\" name=\"evasion-square\" time=\"0.250\"/>
    <testcase classname=\"evasion\" name=\"backdoor-trigger\" time=\"0.250\">
      <error message=\"not examined\">no rows</error>
    </testcase>
  </testsuite>
</testsuites>
";
        assert_eq!(text, expected);
        assert!(junit("nothing", &[]).contains("tests=\"0\""));
    }
}
