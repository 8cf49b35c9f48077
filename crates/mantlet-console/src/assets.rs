//! The style sheet and the little script, served from the binary.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;
use mantlet_vocab::Digest;

use crate::server::Shared;

const SCRIPT: &str = include_str!("assets/console.js");

fn style() -> &'static str {
    static STYLE: OnceLock<String> = OnceLock::new();
    STYLE.get_or_init(|| format!("{}\n{}", mantlet_report::STYLE, include_str!("assets/console.css")))
}

fn tag(text: &str) -> String {
    Digest::of(text.as_bytes()).hex().chars().take(12).collect()
}

/// The address of the style sheet; it changes with its content, so it may be kept for ever.
pub(crate) fn style_address() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| format!("/assets/console.css?{}", tag(style())))
}

/// The address of the script.
pub(crate) fn script_address() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| format!("/assets/console.js?{}", tag(SCRIPT)))
}

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/assets/console.css", get(|| async { file("text/css; charset=utf-8", style()) }))
        .route("/assets/console.js", get(|| async { file("text/javascript; charset=utf-8", SCRIPT) }))
}

fn file(kind: &'static str, body: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")], body)
}
