//! Layer: who asks.

use http::HeaderMap;
use http::header::{HeaderValue, WWW_AUTHENTICATE};

use crate::KeyLookup;
use crate::answer::Answer;
use crate::handle::refuse;
use crate::keys::presented;
use crate::service::Shared;

/// The id of the caller's key.
#[expect(clippy::result_large_err, reason = "an answer is built once and moved out at once")]
pub(crate) fn identify(shared: &Shared, headers: &HeaderMap, model: &str) -> Result<String, Answer> {
    let Some(presented) = presented(headers) else {
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

fn unauthorised(shared: &Shared, text: &str) -> Answer {
    let mut answer = refuse(shared, 401, text, "key");
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}
