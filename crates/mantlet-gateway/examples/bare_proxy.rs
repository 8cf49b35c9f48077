//! A proxy that only passes on: the calibration of `cargo xtask bench gateway`, on the gateway's own libraries.
//!
//! `bare_proxy LISTEN UPSTREAM`, both as `address:port`.

use std::net::SocketAddr;

use http::Uri;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut address = || arguments.next().unwrap_or_default().parse::<SocketAddr>();
    let (listen, upstream) = (address()?, address()?);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(listen, upstream))
}

async fn serve(listen: SocketAddr, upstream: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Incoming>();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let client = client.clone();
        tokio::spawn(async move {
            let service = service_fn(move |mut request: Request<Incoming>| {
                let client = client.clone();
                async move {
                    let path = request.uri().path().to_owned();
                    let uri = Uri::builder()
                        .scheme("http")
                        .authority(upstream.to_string())
                        .path_and_query(path)
                        .build()
                        .map_err(|error| error.to_string())?;
                    *request.uri_mut() = uri;
                    let reply = client.request(request).await.map_err(|error| error.to_string())?;
                    Ok::<Response<Incoming>, String>(reply)
                }
            });
            // A client that hangs up ends its connection and nothing else.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
