//! One's own account: who one is, and a new password.

use std::sync::Arc;

use axum::extract::{Form, State};
use axum::response::{Html, Response};
use mantlet_access::{PasswordError, Secret, User};
use maud::{Markup, html};

use super::fault::Fault;
use super::frame::{self, At};
use crate::server::Shared;
use crate::session::{self, Fields, Who};

pub(crate) async fn show(who: Who) -> Html<String> {
    frame::page(&who, At::Elsewhere, "Your account", &body(&who, None))
}

fn body(who: &Who, wrong: Option<&str>) -> Markup {
    html! {
        div.narrow {
            h1 { "Your account" }
            dl.facts { dt { "Name" } dd { (who.name()) } dt { "Role" } dd { (who.session.role.word()) } }
            h2 { "New password" }
            @if let Some(wrong) = wrong { p.notice.tone-bad role="alert" id="wrong" { (wrong) } }
            form method="post" action="/account" {
                (frame::token(who))
                label for="old" { "Present password" }
                input id="old" name="old" type="password" required autocomplete="current-password";
                label for="new" { "New password, at least 12 characters" }
                input id="new" name="new" type="password" required minlength="12" autocomplete="new-password";
                button.strong { "Change password" }
            }
            p.small.quiet { "Changing it ends your other sessions." }
        }
    }
}

pub(crate) async fn change(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Form(fields): Form<Fields>,
) -> Result<Response, Fault> {
    use axum::response::IntoResponse as _;
    who.check(&fields)?;
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let again = |wrong: &str| {
        let page = frame::page(&who, At::Elsewhere, "Your account", &body(&who, Some(wrong)));
        Ok((http::StatusCode::BAD_REQUEST, page).into_response())
    };
    if session::check_password(&shared, who.name(), field("old")).await?.is_none() {
        return again("The present password is not right.");
    }
    let Some(user) = shared.ports.people.user(who.name()).await? else {
        return Err(Fault::Missing("such person".to_owned()));
    };
    let (password, salt, now) = (Secret::new(field("new")), session::salt()?, shared.now());
    let (name, role) = (user.name.clone(), user.role);
    let hashed = tokio::task::spawn_blocking(move || User::new(name, role, password.expose(), &salt, now));
    let fresh = match hashed.await.map_err(|error| Fault::failed("password hash", &error))? {
        Ok(fresh) => User { created: user.created, disabled: user.disabled, ..fresh },
        Err(error @ (PasswordError::Short { .. } | PasswordError::Long { .. })) => {
            return again(&format!("Not changed: {error}."));
        }
        Err(error) => return Err(Fault::failed("password hash", &error)),
    };
    shared.ports.people.save_user(&fresh).await?;
    shared.ports.people.end_sessions_of(who.name()).await?;
    session::begin(&shared, who.name(), role, now, "/").await
}
