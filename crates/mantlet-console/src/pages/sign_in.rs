//! The sign-in page.

use axum::response::Html;
use maud::html;

use super::frame;

pub(crate) fn page(token: &str, next: &str, name: &str, wrong: Option<&str>) -> Html<String> {
    let body = html! {
        div.narrow.door {
            p.brand { "mantlet" }
            h1 { "Sign in" }
            @if let Some(wrong) = wrong { p.notice.tone-bad role="alert" id="wrong" { (wrong) } }
            form method="post" action="/sign-in" {
                input type="hidden" name="form_token" value=(token);
                input type="hidden" name="next" value=(next);
                label for="name" { "Name" }
                input id="name" name="name" value=(name) required autocomplete="username" autocapitalize="none"
                    spellcheck="false" autofocus[name.is_empty()] aria-describedby=[wrong.map(|_| "wrong")];
                label for="password" { "Password" }
                input id="password" name="password" type="password" required autocomplete="current-password"
                    autofocus[!name.is_empty()] aria-describedby=[wrong.map(|_| "wrong")];
                button.strong { "Sign in" }
            }
            p.small.quiet { "No account yet? " code { "mantlet user add NAME" } " makes one and shows its password once." }
        }
    };
    frame::bare("Sign in", &html! {}, &html! {}, &body)
}
