//! Any bytes as messages and frames of the Open Inference Protocol over gRPC.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mantlet_wire::grpc::{
    GrpcFrames, read_grpc_about, read_grpc_reply, read_grpc_request, read_grpc_stream_reply,
};

fuzz_target!(|data: &[u8]| {
    let limits = mantlet_wire::Limits::default();
    let _ = read_grpc_request(data, &limits);
    let _ = read_grpc_reply(data, &limits);
    let _ = read_grpc_stream_reply(data, &limits);
    let _ = read_grpc_about(data);
    let mut frames = GrpcFrames::new(1 << 16);
    if let (Ok(read), Ok(())) = (frames.feed(data), frames.finish()) {
        let raw: Vec<u8> = read.into_iter().flat_map(|frame| frame.raw).collect();
        assert_eq!(raw, data);
    }
});
