//! Layer: who asks.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};

use crate::KeyLookup;
use crate::answer::Answer;
use crate::handle::refuse;
use crate::keys::presented;
use crate::listen::Peer;
use crate::live::Live;
use crate::service::Shared;

/// The caller's id: of its key, or the name in its certificate.
#[expect(clippy::result_large_err, reason = "an answer is built once and moved out at once")]
pub(crate) fn identify(
    shared: &Shared,
    live: &Live,
    peer: &Peer,
    headers: &HeaderMap,
    model: &str,
) -> Result<String, Answer> {
    let Some(presented) = presented(headers) else {
        if let Some(name) = &peer.certificate
            && let Some(models) = live.config.certificates.get(&**name)
            && (model.is_empty() || models.is_empty() || models.iter().any(|other| other == model))
        {
            return Ok(name.to_string());
        }
        if live.config.anonymous && !carries_credentials(headers) {
            return Ok("anonymous".to_owned());
        }
        let text = "an API key is needed, as `Authorization: Bearer <key>` or `X-API-Key: <key>`";
        return Err(unauthorised(shared, text));
    };
    match shared.keys.lookup(&*shared.ports.keys, presented, model, shared.ports.clock.now()) {
        KeyLookup::Valid { id, .. } => Ok(id),
        KeyLookup::Invalid => Err(unauthorised(shared, "this API key is not in force for this model")),
        KeyLookup::Unavailable => {
            Err(refuse(shared, 503, "API keys cannot be checked now", "keys-unavailable"))
        }
    }
}

/// Whoever shows credentials wants to be somebody: when they cannot be read, nobody else stands in.
fn carries_credentials(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION) || headers.contains_key("x-api-key")
}

fn unauthorised(shared: &Shared, text: &str) -> Answer {
    let mut answer = refuse(shared, 401, text, "key");
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}
