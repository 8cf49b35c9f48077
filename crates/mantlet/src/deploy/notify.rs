//! Whom the answering loop tells, and with which secrets.

use anyhow::Context as _;
use mantlet_vocab::{Impact, Mode};
use mantlet_worker::answer::{
    AnswerConfig, MailConfig, NotifyConfig, Secret, Security, SystemRule, WebhookConfig,
};

use crate::config::{Loaded, SmtpSecurity};

/// The answering loop's configuration.
///
/// # Errors
/// When a secret cannot be read, or a channel cannot work as configured.
pub(super) fn answer_config(loaded: &Loaded, further: &[Loaded]) -> anyhow::Result<AnswerConfig> {
    let config = &loaded.config;
    let rule = |of: &Loaded| {
        let rule = SystemRule { impact: of.config.system.impact, mode: of.config.gateway.mode };
        (of.config.system.name.clone(), rule)
    };
    let mut notify = NotifyConfig {
        console: Some(format!("http://{}", config.console.listen)),
        ..NotifyConfig::default()
    };
    if let Some(url) = &config.notify.webhook {
        let secret = match &config.notify.webhook_secret_file {
            Some(path) => read_secret(&loaded.path(path))?,
            None => webhook_secret(loaded)?,
        };
        notify.webhooks.push(WebhookConfig { url: url.clone(), secret });
    }
    if let Some(smtp) = &config.notify.smtp {
        let (host, port) = match smtp.server.rsplit_once(':') {
            Some((host, port)) => {
                (host, Some(port.parse().context("the port of `notify.smtp.server` is no number")?))
            }
            None => (smtp.server.as_str(), None),
        };
        notify.mails.push(MailConfig {
            host: host.to_owned(),
            port,
            security: match smtp.security {
                SmtpSecurity::Starttls => Security::Starttls,
                SmtpSecurity::Tls => Security::Tls,
                SmtpSecurity::Plain => Security::Plain,
            },
            user: smtp.user.clone(),
            password: smtp.password_file.as_ref().map(|path| read_secret(&loaded.path(path))).transpose()?,
            from: smtp.from.clone(),
            to: smtp.to.clone(),
        });
    }
    let answer = AnswerConfig {
        systems: std::iter::once(loaded).chain(further).map(rule).collect(),
        otherwise: SystemRule { impact: Impact::Medium, mode: Mode::Observe },
        notify,
        ..AnswerConfig::default()
    };
    answer.check()?;
    Ok(answer)
}

pub(super) fn read_secret(path: &std::path::Path) -> anyhow::Result<Secret> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the secret in {}", path.display()))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

/// The installation's own webhook secret, made at first use; receivers get it from the file.
pub(super) fn webhook_secret(loaded: &Loaded) -> anyhow::Result<Secret> {
    let path = loaded.storage().join("keys/webhook.secret");
    if !path.exists() {
        let folder = path.parent().unwrap_or(std::path::Path::new("."));
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let bytes: [u8; 32] = crate::runtime::entropy()?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        mantlet_registry::disk::write_whole(&path, text.as_bytes(), true)?;
    }
    read_secret(&path)
}
