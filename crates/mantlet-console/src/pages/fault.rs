//! When a page cannot be shown or a change cannot be made: a short message outside, the detail in the log.

use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use mantlet_access::Role;
use maud::html;

use super::frame;
use crate::PortError;

/// Why a request is not answered as asked.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nobody is signed in; where they wanted to go.
    SignIn(String),
    /// The role may not.
    Forbidden(Role),
    /// The form's token is missing or of another session.
    Stale,
    /// The request makes no sense, and why.
    Wrong(String),
    /// There is no such thing.
    Missing(String),
    /// It must not be done, in words for the person.
    Refused(String),
    /// Somebody else was faster.
    Conflict,
    /// Something broke; the id is in the log.
    Failed(String),
}

impl Fault {
    /// Logs the detail and keeps its id.
    pub(crate) fn failed(what: &str, error: &dyn std::fmt::Display) -> Self {
        let mut bytes = [0_u8; 4];
        let _ = getrandom::fill(&mut bytes);
        let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        tracing::error!(%id, %error, "the console failed: {what}");
        Self::Failed(id)
    }

    /// Status, headline and a sentence.
    pub(crate) fn words(&self) -> (StatusCode, &'static str, String) {
        match self {
            Self::SignIn(_) => (StatusCode::UNAUTHORIZED, "Please sign in", String::new()),
            Self::Forbidden(role) => (
                StatusCode::FORBIDDEN,
                "Your role may not do this",
                format!("You are signed in as {role}. An administrator can give you another role."),
            ),
            Self::Stale => (
                StatusCode::FORBIDDEN,
                "The form was too old",
                "Go back, load the page again and repeat what you did. Nothing was changed.".to_owned(),
            ),
            Self::Wrong(why) => (StatusCode::BAD_REQUEST, "Something is missing", why.clone()),
            Self::Missing(what) => (StatusCode::NOT_FOUND, "Not found", format!("There is no {what}.")),
            Self::Refused(why) => (StatusCode::CONFLICT, "This was not done", why.clone()),
            Self::Conflict => (
                StatusCode::CONFLICT,
                "Somebody else was faster",
                "This changed in the meantime. Look at it again before you decide.".to_owned(),
            ),
            Self::Failed(id) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong here",
                format!(
                    "Nothing you did is lost that was confirmed. The log of mantlet has the details under {id}."
                ),
            ),
        }
    }
}

impl From<PortError> for Fault {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Missing(what) => Self::Missing(what),
            PortError::Refused(why) => Self::Refused(why),
            PortError::Conflict => Self::Conflict,
            PortError::Failed(why) => Self::failed("a port did not answer", &why),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        if let Self::SignIn(next) = &self {
            let next = super::path(&[next.trim_start_matches('/')]);
            return Redirect::to(&format!("/sign-in?next={}", next.replacen('/', "%2F", 1))).into_response();
        }
        let (status, headline, sentence) = self.words();
        let body = html! {
            div.narrow {
                h1 { (headline) }
                p { (sentence) }
                p { a href="/" { "To the overview" } }
            }
        };
        (status, frame::bare(headline, &html! {}, &html! {}, &body)).into_response()
    }
}
