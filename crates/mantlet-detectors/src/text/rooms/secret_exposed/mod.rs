//! A credential stands in the text.

use mantlet_vocab::{About, Confidence, Impact, Severity};

use super::Room;
use crate::text::matcher::{Check, Pattern};

mod sums;

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "secret-exposed",
    title: "a credential stands in the text",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0055", "AML.T0057"],
    owasp: &["LLM02:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Shapes that providers publish; the prefix alone tells them.
const SHAPES: [(&str, &str); 36] = [
    ("Anthropic API key", r"sk-ant-[a-z0-9]{2,8}-[A-Za-z0-9_\-]{60,}"),
    ("OpenAI API key", r"\bsk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_\-]{40,}"),
    ("GitHub fine-grained token", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    ("GitLab token", r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[A-Za-z0-9_\-]{20,}"),
    ("Slack token", r"\bxox[abeoprs]-[A-Za-z0-9\-]{20,}"),
    ("Slack app token", r"\bxapp-[0-9]-[A-Z0-9]{8,}-[0-9]{8,}-[a-f0-9]{32,}"),
    ("Slack webhook", r"hooks\.slack\.com/services/T[A-Za-z0-9]{7,}/B[A-Za-z0-9]{7,}/[A-Za-z0-9]{20,}"),
    ("Discord webhook", r"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_\-]{60,}"),
    ("Stripe key", r"\b[rs]k_live_[A-Za-z0-9]{20,}"),
    ("Stripe webhook secret", r"\bwhsec_[A-Za-z0-9+/]{32,}"),
    ("Google API key", r"\bAIza[A-Za-z0-9_\-]{35}"),
    ("Google OAuth token", r"\bya29\.[A-Za-z0-9_\-]{30,}"),
    ("Google OAuth secret", r"\bGOCSPX-[A-Za-z0-9_\-]{28}"),
    ("Hugging Face token", r"\bhf_[A-Za-z]{34}\b"),
    ("Groq API key", r"\bgsk_[A-Za-z0-9]{52}\b"),
    ("xAI API key", r"\bxai-[A-Za-z0-9]{70,}"),
    ("Replicate token", r"\br8_[A-Za-z0-9]{37}\b"),
    ("Perplexity API key", r"\bpplx-[A-Za-z0-9]{48,}"),
    ("SendGrid key", r"\bSG\.[A-Za-z0-9_\-]{22}\.[A-Za-z0-9_\-]{43}"),
    ("Mailchimp key", r"\b[0-9a-f]{32}-us[0-9]{1,2}\b"),
    ("PyPI token", r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_\-]{50,}"),
    ("Azure storage key", r"AccountKey=[A-Za-z0-9+/]{86}=="),
    ("Azure AD secret", r"\b[A-Za-z0-9_~.]{3}8Q~[A-Za-z0-9_~.\-]{31,34}"),
    ("DigitalOcean token", r"\bdo[opr]_v1_[a-f0-9]{64}"),
    ("Telegram bot token", r"\b[0-9]{8,10}:AA[A-Za-z0-9_\-]{33}"),
    ("Shopify token", r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    ("Databricks token", r"\bdapi[a-f0-9]{32}\b"),
    ("Square token", r"\bsq0[a-z]{3}-[A-Za-z0-9_\-]{22,}"),
    ("Vault token", r"\bhv[bs]\.[A-Za-z0-9_\-]{24,}"),
    ("age secret key", r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    ("Linear API key", r"\blin_api_[A-Za-z0-9]{40}"),
    ("Notion token", r"\b(?:secret_[A-Za-z0-9]{43}|ntn_[A-Za-z0-9]{46})\b"),
    ("Grafana token", r"\bglsa_[A-Za-z0-9]{32}_[a-f0-9]{8}\b"),
    ("Doppler token", r"\bdp\.(?:pt|st|ct|sa)\.[A-Za-z0-9_\-]{40,}"),
    ("Postman key", r"\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}\b"),
    ("Atlassian token", r"\bATATT3[A-Za-z0-9_\-=]{60,}"),
];

/// Shapes that need a second look at what matched.
const LOOKED_AT: [(&str, &str, Check); 7] = [
    ("AWS access key id", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b", sums::varied),
    ("GitHub token", r"gh[opsur]_[A-Za-z0-9]{36}", sums::crc_token),
    ("npm token", r"\bnpm_[A-Za-z0-9]{36}\b", sums::crc_token),
    ("OpenAI API key", r"\bsk-[A-Za-z0-9]{32,64}\b", sums::mixed),
    ("Twilio key", r"\b(?:SK|AC)[0-9a-f]{32}\b", sums::varied),
    (
        "address with a password",
        r"\b(?:https?|ftps?|sftp|ssh|postgres(?:ql)?|mysql|mariadb|mssql|mongodb(?:\+srv)?|rediss?|amqps?|ldaps?|smtps?|nats|mqtts?|clickhouse)://[^\s:/@<>]*:[^\s:/@<>]{3,}@[A-Za-z0-9\[]",
        sums::address,
    ),
    (
        "assigned secret",
        concat!(
            r"(?i)(?:api[_\-]?key|secret|passwd|password|pwd|auth[_\-]?token|access[_\-]?token",
            r#"|private[_\-]?key)[a-z0-9_\-]*["']?\s{0,3}(?:[:=]|:=|=>)\s{0,3}["']?[A-Za-z0-9+/_.~!@#$%^&*\-]{12,}"#,
        ),
        sums::assigned,
    ),
];

/// Every shape.
pub(super) fn patterns() -> Vec<Pattern> {
    let room = Room::SecretExposed;
    let mut patterns: Vec<Pattern> = SHAPES
        .iter()
        .map(|(label, regex)| Pattern::new(room, label, "SECRET", regex, |text| Some((sums::real(text)?, 0))))
        .chain(
            LOOKED_AT.iter().map(|(label, regex, check)| Pattern::new(room, label, "SECRET", regex, *check)),
        )
        .collect();
    // The header is enough; what follows belongs to it as far as it goes.
    let key = r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s:,.\\\-]*";
    patterns.push(Pattern {
        goes_on: true,
        ..Pattern::new(room, "private key", "SECRET", key, |_| Some((2.0, 0)))
    });
    let web = r"\beyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}(?:\.[A-Za-z0-9_\-]*)?";
    patterns.push(Pattern {
        goes_on: true,
        ..Pattern::new(room, "JSON Web Token", "SECRET", web, sums::json_web_token)
    });
    patterns
}
