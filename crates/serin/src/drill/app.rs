//! A version that is bad on purpose: it gets ready like any other, and fails every request of the
//! drill's users.

use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use tokio::net::{TcpListener, TcpStream};

/// The header that tells the drill's users from probes.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-serin-drill");

/// `serin __drill-app PORT`: serves until it is ended.
pub fn main(words: &[OsString]) -> ExitCode {
    let port = words.get(2).and_then(|word| word.to_str()).and_then(|word| word.parse().ok());
    let served = port.ok_or_else(|| "a port is missing".to_owned()).and_then(serve);
    if let Err(why) = served {
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("error: {why}\n"));
    }
    ExitCode::FAILURE
}

fn serve(port: u16) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(|error| format!("cannot listen on {port}: {error}"))?;
        loop {
            // A connection that is gone before it was taken concerns nobody.
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream));
            }
        }
    })
}

async fn converse(stream: TcpStream) {
    let service = service_fn(answer);
    // A client that went away is no error.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = if request.headers().contains_key(HEADER) {
        (StatusCode::INTERNAL_SERVER_ERROR, "failed on purpose: this is a drill\n")
    } else {
        (StatusCode::OK, "ready\n")
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    Ok(response)
}
