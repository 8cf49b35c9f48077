//! What stands around every page: the head, the navigation, the skip link.

use axum::response::Html;
use mantlet_access::Act;
use maud::{DOCTYPE, Markup, html};

use crate::assets;
use crate::session::Who;

/// Which entry of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Overview,
    Incidents,
    Reviews,
    Data,
    Live,
    Audit,
    Keys,
    Elsewhere,
}

const ENTRIES: [(At, &str, &str); 7] = [
    (At::Overview, "/", "Overview"),
    (At::Incidents, "/incidents", "Incidents"),
    (At::Reviews, "/reviews", "Decisions"),
    (At::Data, "/data", "Data"),
    (At::Live, "/live", "Live"),
    (At::Audit, "/audit", "Audit log"),
    (At::Keys, "/keys", "Keys"),
];

/// A page for somebody who is signed in.
pub(crate) fn page(who: &Who, at: At, title: &str, body: &Markup) -> Html<String> {
    page_with(who, at, title, &html! {}, body)
}

/// The same with something more in the head.
pub(crate) fn page_with(who: &Who, at: At, title: &str, head: &Markup, body: &Markup) -> Html<String> {
    let bar = html! {
        header.bar {
            a.brand href="/" { "mantlet" }
            nav aria-label="Main" {
                ul {
                    @for (entry, address, name) in ENTRIES {
                        @if entry != At::Live || who.may(Act::SeeExchanges) {
                            li { a href=(address) aria-current=[(entry == at).then_some("page")] { (name) } }
                        }
                    }
                }
            }
            div.person {
                a href="/account" { (who.name()) " · " (who.session.role.word()) }
                form method="post" action="/sign-out" { (token(who)) button.plain { "Sign out" } }
            }
        }
    };
    bare(title, head, &bar, body)
}

/// A page without navigation.
pub(crate) fn bare(title: &str, head: &Markup, bar: &Markup, body: &Markup) -> Html<String> {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · mantlet" }
                link rel="stylesheet" href=(assets::style_address());
                link rel="icon" href="data:,";
                (head)
            }
            body {
                a.skip href="#main" { "Skip to content" }
                (bar)
                main id="main" tabindex="-1" { (body) }
            }
        }
    };
    Html(markup.into_string())
}

/// The hidden field that every form carries.
pub(crate) fn token(who: &Who) -> Markup {
    html! { input type="hidden" name="form_token" value=(who.session.csrf); }
}
