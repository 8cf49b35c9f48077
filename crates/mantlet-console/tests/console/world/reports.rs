//! A report to show.

use mantlet_store::Report;
use mantlet_vocab::{About, ArtifactSummary, Confidence, Coverage, Examination, Impact, Place, Severity};

const ABOUT: About = About {
    name: "drift-marginal-shift",
    title: "a column has drifted",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML08:2023"],
    explain: "## What it sees\n\nA column.\n\n## Why it matters\n\nIt moved.\n\n## What to do\n\nLook.\n\n## References\n\nNone.\n",
    cases: "",
};

/// A report of a monitor with pictures of every kind.
pub(super) fn reported() -> Report {
    let place = Place::artifact("week-9.parquet");
    let pictures = serde_json::json!([
        {"kind": "then-now", "names": ["to 10", "to 20", "above"], "then": [0.5, 0.3, 0.2], "now": [0.1, 0.3, 0.6]},
        {"kind": "timeline", "what": "errors", "names": ["1", "2", "3"], "expected": [5, 5, 5], "seen": [4, 9, 15], "since": 1},
        {"kind": "rows", "columns": ["id", "amount"], "rows": [["t-1", "20.10"], ["t-2", "<b>7</b>"]]},
    ]);
    let finding = ABOUT.finding(place, "a column moved").fact("pictures", pictures);
    Report {
        id: "1790035800000-monitor-drift".into(),
        system: "cheque reader".into(),
        at: super::NOW,
        command: "monitor drift".into(),
        examination: Examination {
            artifacts: vec![ArtifactSummary {
                path: "week-9.parquet".into(),
                size: 77,
                digest: None,
                formats: vec!["1,000 rows".into()],
                said: Default::default(),
                coverage: Coverage::Complete,
            }],
            findings: vec![finding],
            ..Examination::default()
        },
        left_out: 0,
    }
}
