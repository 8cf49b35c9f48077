//! Delivery by mail: plain text, threaded by incident.

use std::time::{Duration, SystemTime};

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::config::{ConfigError, MailConfig, Security};
use super::deliver::Fault;
use super::notice::{Notice, NoticeKind};

/// A mail server and its recipients, ready to be written to.
#[derive(Clone)]
pub(super) struct Mailer {
    config: MailConfig,
    from: Mailbox,
    to: Vec<Mailbox>,
    tls: Tls,
}

impl Mailer {
    pub(super) fn new(config: &MailConfig) -> Result<Self, ConfigError> {
        let host = || config.host.clone();
        let mailbox = |text: &String| -> Result<Mailbox, ConfigError> {
            text.parse().map_err(|_| ConfigError::Address { address: text.clone() })
        };
        if config.to.is_empty() {
            return Err(ConfigError::NoRecipient { host: host() });
        }
        if config.user.is_some() != config.password.is_some() {
            return Err(ConfigError::Credentials { host: host() });
        }
        let parameters = || TlsParameters::new(host()).map_err(|_| ConfigError::MailTls { host: host() });
        let tls = match config.security {
            Security::Tls => Tls::Wrapper(parameters()?),
            Security::Starttls => Tls::Required(parameters()?),
            Security::Plain if config.is_local() => Tls::None,
            Security::Plain => return Err(ConfigError::PlainMail { host: host() }),
        };
        let to = config.to.iter().map(mailbox).collect::<Result<_, _>>()?;
        Ok(Self { from: mailbox(&config.from)?, to, tls, config: config.clone() })
    }

    /// Where it goes.
    pub(super) fn label(&self) -> String {
        format!("mail {}:{}", self.config.host, self.config.port())
    }

    /// One attempt.
    pub(super) async fn deliver(&self, notice: &Notice, timeout: Duration) -> Result<(), Fault> {
        let mail = self.write(notice)?;
        let mut server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.config.host)
            .port(self.config.port())
            .tls(self.tls.clone())
            .timeout(Some(timeout));
        if let (Some(user), Some(password)) = (&self.config.user, &self.config.password) {
            server = server.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        let server = server.build();
        let sending = server.send(mail);
        match tokio::time::timeout(timeout, sending).await {
            Ok(Ok(_)) => Ok(()),
            Err(_) => Err(Fault::passing("no answer in time")),
            // The server's own words are not repeated: they may quote what was sent.
            Ok(Err(error)) if error.is_permanent() => Err(Fault::lasting("the server refused the mail")),
            Ok(Err(error)) if error.is_tls() => Err(Fault::passing("TLS with the server failed")),
            Ok(Err(error)) if error.is_client() => Err(Fault::lasting(
                "the server does not offer what the configuration asks for (STARTTLS, or a way to sign in)",
            )),
            Ok(Err(_)) => Err(Fault::passing("the server could not be reached or did not take the mail now")),
        }
    }

    fn write(&self, notice: &Notice) -> Result<Message, Fault> {
        let domain = self.from.email.domain();
        let first = format!("<{}@{domain}>", notice.incident);
        let builder = Message::builder()
            .from(self.from.clone())
            .date(SystemTime::UNIX_EPOCH + Duration::from_millis(notice.at.0))
            .subject(&notice.subject)
            .user_agent("mantlet".to_owned())
            .header(ContentType::TEXT_PLAIN);
        // The first mail carries the incident's id and later ones refer to it, so that they form one thread.
        let builder = match notice.kind {
            NoticeKind::Opened => builder.message_id(Some(first)),
            _ => builder
                .message_id(Some(format!("<{}@{domain}>", notice.id)))
                .in_reply_to(first.clone())
                .references(first),
        };
        self.to
            .iter()
            .cloned()
            .fold(builder, lettre::message::MessageBuilder::to)
            .body(notice.text.clone())
            .map_err(|_| Fault::lasting("the mail could not be made"))
    }
}
