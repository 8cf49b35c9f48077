//! Every content coding through the whole gateway, both ways: looked at, forwarded byte for byte, and no bomb unfolds.

use std::io::Write as _;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::StatusCode;
use mantlet_gateway::{Gateway, GatewayConfig};
use mantlet_guard::GuardConfig;
use mantlet_vocab::Mode;

use crate::peer::{Peer, REPLY, ok};
use crate::world::{Caller, Memory, body, guard, guard_config, ports, route};

const INFER: &str = "/v2/models/sums/infer";
const KEY: (&str, &str) = ("x-api-key", "secret-ann");
const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

/// Bytes in a coding. That of brotli is a stored block and that of zstd a raw one, as their formats describe them
/// (RFC 7932, section 9.2, and RFC 8878, section 3.1.1): every reader of the coding takes them.
pub(crate) fn coded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "br" => {
            let length = u32::try_from(bytes.len() - 1).unwrap();
            assert!(length < 1 << 16, "one stored block");
            let head = (length << 4 | 1 << 20).to_le_bytes();
            [&head[..3], bytes, &[3]].concat()
        }
        "zstd" => {
            let length = u32::try_from(bytes.len()).unwrap();
            assert!(length < 1 << 17, "one raw block");
            let block = (length << 3 | 1).to_le_bytes();
            [&[0x28, 0xb5, 0x2f, 0xfd, 0xa0][..], &length.to_le_bytes(), &block[..3], bytes].concat()
        }
        other => panic!("{other}"),
    }
}

/// Eight mebibytes of blanks in a coding.
fn bomb(coding: &str) -> Vec<u8> {
    const BLANKS: u32 = 8 << 20;
    match coding {
        // As the reference encoder writes it.
        "br" => vec![0x9b, 0xff, 0xff, 0x7f, 0xf8, 0x25, 0x40, 0xe2, 0xb1, 0x40, 0x20, 0xf7, 0xfe, 0x0f],
        "zstd" => {
            // Blocks of one byte that is repeated, 128 KiB each.
            let mut bytes = [&[0x28, 0xb5, 0x2f, 0xfd, 0xa0][..], &BLANKS.to_le_bytes()].concat();
            for number in 1..=64_u32 {
                let block = (1_u32 << 17) << 3 | 1 << 1 | u32::from(number == 64);
                bytes.extend_from_slice(&block.to_le_bytes()[..3]);
                bytes.push(b' ');
            }
            bytes
        }
        other => coded(other, &vec![b' '; BLANKS as usize]),
    }
}

async fn start(peer: &Peer, config: GuardConfig) -> (Gateway, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    let routes = vec![route(peer.address, &guard(config))];
    let own = GatewayConfig { max_body: 1 << 20, max_reply: 1 << 20, ..GatewayConfig::default() };
    (Gateway::start(own, routes, ports(&memory)).await.unwrap(), memory)
}

#[tokio::test]
async fn each_coding_is_looked_at_both_ways_and_forwarded_byte_for_byte() {
    let odd = br#"{ "inputs" : [ { "datatype":"FP32" , "shape":[1,4],"name":"x","data":[0.10,1e-1,0,0.1] }] ,"id":"a\u0062"}"#;
    for coding in CODINGS {
        let reply = coded(coding, REPLY.as_bytes());
        let sent = reply.clone();
        let peer = Peer::start(Box::new(move |_| {
            let mut answer = ok(sent.clone());
            answer.headers_mut().insert("content-encoding", coding.parse().unwrap());
            answer
        }))
        .await;
        let (gateway, memory) = start(&peer, guard_config()).await;
        let asked = coded(coding, odd);
        let headers = [KEY, ("content-encoding", coding), ("accept-encoding", coding)];
        let got = Caller::new().send(gateway.address(), "POST", INFER, &headers, asked.clone()).await;
        assert_eq!((got.0, &got.2[..]), (StatusCode::OK, &reply[..]), "{coding}");
        assert_eq!(got.1["content-encoding"], coding);
        let seen = peer.last();
        assert_eq!(
            (&seen.body[..], &seen.headers["content-encoding"]),
            (&asked[..], &coding.parse().unwrap())
        );
        assert_eq!(seen.headers["accept-encoding"], coding);
        let exchange = memory.last();
        assert_eq!(
            exchange.request.inputs[0].value.to_f32().unwrap().data(),
            [0.1, 0.1, 0.0, 0.1],
            "{coding}"
        );
        assert_eq!(
            exchange.reply.unwrap().outputs[0].value.to_f32().unwrap().data(),
            [0.25, 0.75],
            "{coding}"
        );
        assert!(exchange.decision.signals.is_empty(), "{coding}: {:?}", exchange.decision.signals);
    }
}

#[tokio::test]
async fn what_a_coding_hides_is_seen_and_what_cannot_be_unfolded_never_reaches_the_model() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let (gateway, memory) = start(&peer, guard_config()).await;
    let client = Caller::new();
    for coding in CODINGS {
        let good = coded(coding, body([0.0; 4]).as_bytes());
        let far = coded(coding, body([9e5; 4]).as_bytes());
        for (what, bytes, status) in [
            ("a row off the schema", far, 403),
            ("a second one behind it", [good.clone(), good.clone()].concat(), 400),
            ("a byte behind it", [good.clone(), vec![b' ']].concat(), 400),
            ("broken off", good[..good.len() - 1].to_vec(), 400),
            ("not coded at all", body([0.0; 4]).into_bytes(), 400),
            ("a bomb", bomb(coding), 413),
        ] {
            let headers = [KEY, ("content-encoding", coding)];
            let got = client.send(gateway.address(), "POST", INFER, &headers, bytes).await;
            assert_eq!(got.0.as_u16(), status, "{coding} {what}: {}", String::from_utf8_lossy(&got.2));
            assert!(!memory.last().decision.signals.is_empty(), "{coding} {what}");
        }
        assert_eq!(peer.count(), 0, "{coding}");
    }
}

#[tokio::test]
async fn a_reply_that_does_not_unfold_is_held_back_by_a_guard_that_enforces_and_told_of_by_any() {
    let client = Caller::new();
    for coding in CODINGS {
        for (what, bytes) in [
            ("a bomb", bomb(coding)),
            ("broken off", {
                let whole = coded(coding, REPLY.as_bytes());
                whole[..whole.len() - 1].to_vec()
            }),
            ("two", [coded(coding, REPLY.as_bytes()), coded(coding, REPLY.as_bytes())].concat()),
        ] {
            let sent = bytes.clone();
            let peer = Peer::start(Box::new(move |_| {
                let mut answer = ok(sent.clone());
                answer.headers_mut().insert("content-encoding", coding.parse().unwrap());
                answer
            }))
            .await;
            for mode in [Mode::Enforce, Mode::Observe] {
                let (gateway, memory) = start(&peer, GuardConfig { mode, ..guard_config() }).await;
                let headers = [KEY, ("accept-encoding", coding)];
                let got = client.send(gateway.address(), "POST", INFER, &headers, body([0.0; 4])).await;
                let held = mode == Mode::Enforce;
                assert_eq!(got.0.as_u16(), if held { 502 } else { 200 }, "{coding} {what} {mode:?}");
                assert_eq!(got.2 == bytes, !held, "{coding} {what} {mode:?}");
                let told =
                    memory.last().decision.signals.iter().any(|signal| signal.name == "request-malformed");
                assert!(told, "{coding} {what} {mode:?}");
            }
        }
    }
}
