//! Layer: who asks.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};

use crate::KeyLookup;
use crate::answer::Answer;
use crate::dialect::Dialect;
use crate::handle::turn_away;
use crate::keys::presented;
use crate::listen::Peer;
use crate::live::Live;
use crate::oidc::{Invalid, is_token};
use crate::service::Shared;
use crate::who::{Proof, Who};

/// The caller: by its key, its provider's token, or the name in its certificate.
#[expect(clippy::result_large_err, reason = "an answer is built once and moved out at once")]
pub(crate) fn identify(
    shared: &Shared,
    live: &Live,
    peer: &Peer,
    headers: &HeaderMap,
    model: &str,
    dialect: &Dialect,
) -> Result<Who, Answer> {
    let Some(presented) = presented(headers) else {
        if let Some(name) = &peer.certificate
            && let Some(models) = live.config.certificates.get(&**name)
            && (model.is_empty() || models.is_empty() || models.iter().any(|other| other == model))
        {
            return Ok(Who { id: name.to_string(), proof: Proof::Certificate });
        }
        if live.config.anonymous && !carries_credentials(headers) {
            return Ok(Who { id: "anonymous".to_owned(), proof: Proof::Nothing });
        }
        let text = "an API key is missing: send it as `Authorization: Bearer <key>` or `X-API-Key: <key>`";
        return Err(unauthorised(shared, dialect, text));
    };
    if let Some(oidc) = live.config.oidc.as_ref().filter(|_| is_token(presented)) {
        return shared.provider.verify(oidc, presented, model, shared.ports.clock.now()).map_err(|why| {
            if why == Invalid::Unavailable {
                return turn_away(shared, dialect, 503, &why.to_string(), "provider-unavailable");
            }
            unauthorised(shared, dialect, &why.to_string())
        });
    }
    match shared.keys.lookup(&*shared.ports.keys, presented, model, shared.ports.clock.now()) {
        KeyLookup::Valid { id, .. } => Ok(Who { id, proof: Proof::Key }),
        KeyLookup::Invalid => {
            Err(unauthorised(shared, dialect, "this API key is not in force for this model"))
        }
        KeyLookup::Unavailable => {
            Err(turn_away(shared, dialect, 503, "API keys cannot be checked now", "keys-unavailable"))
        }
    }
}

/// Whoever shows credentials wants to be somebody: when they cannot be read, nobody else stands in.
fn carries_credentials(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION) || headers.contains_key("x-api-key")
}

fn unauthorised(shared: &Shared, dialect: &Dialect, text: &str) -> Answer {
    let mut answer = turn_away(shared, dialect, 401, text, "key");
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}
