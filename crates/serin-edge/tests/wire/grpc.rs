//! A client of gRPC: HTTP/2 by hyper, messages and frames by hand, as flagd's schemas have them.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::{Message, Oneof};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// `google.protobuf.Struct`.
#[derive(Clone, PartialEq, Message)]
pub struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(oneof = "Kind", tags = "2, 3, 4, 5")]
    pub kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Kind {
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(message, tag = "5")]
    Struct(Struct),
}

/// A struct of texts.
pub fn texts(pairs: &[(&str, &str)]) -> Struct {
    let value = |text: &str| Value { kind: Some(Kind::Text(text.to_owned())) };
    Struct { fields: pairs.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect() }
}

impl Struct {
    pub fn text(&self, key: &str) -> &str {
        match &self.fields[key].kind {
            Some(Kind::Text(text)) => text,
            other => panic!("{key}: {other:?}"),
        }
    }

    pub fn inner(&self, key: &str) -> &Self {
        match &self.fields[key].kind {
            Some(Kind::Struct(inner)) => inner,
            other => panic!("{key}: {other:?}"),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct Resolve {
    #[prost(string, tag = "1")]
    pub flag_key: String,
    #[prost(message, optional, tag = "2")]
    pub context: Option<Struct>,
}

/// How a call ended.
#[derive(Debug)]
pub struct Answer {
    pub code: String,
    pub message: String,
    pub body: Bytes,
}

impl Answer {
    /// The one message of a call that went well.
    pub fn read<M: Message + Default>(&self) -> M {
        assert_eq!(self.code, "0", "{self:?}");
        let mut messages = messages(&self.body);
        assert_eq!(messages.len(), 1);
        M::decode(messages.remove(0)).unwrap()
    }
}

/// The messages in a body.
pub fn messages(mut body: &[u8]) -> Vec<Bytes> {
    let mut all = Vec::new();
    while let Some((head, rest)) = body.split_first_chunk::<5>() {
        assert_eq!(head[0], 0, "compressed");
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        all.push(Bytes::copy_from_slice(&rest[..length]));
        body = &rest[length..];
    }
    assert!(body.is_empty());
    all
}

/// A connection.
pub struct Channel {
    sender: SendRequest<Full<Bytes>>,
}

impl Channel {
    pub async fn connect(addr: SocketAddr) -> Self {
        let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    async fn send(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> (HeaderMap, Incoming) {
        let mut request = Request::post(format!("http://a/{path}"));
        request = request.header("content-type", "application/grpc").header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.sender.send_request(request.body(Full::new(body)).unwrap());
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        let (parts, body) = response.into_parts();
        assert_eq!(parts.headers["content-type"], "application/grpc");
        (parts.headers, body)
    }

    pub async fn call_raw(&mut self, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        let (head, body) = self.send(path, headers, body).await;
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or(head);
        let text = |name: &str| trailers.get(name).map_or("", |value| value.to_str().unwrap());
        Answer {
            code: text("grpc-status").to_owned(),
            message: text("grpc-message").to_owned(),
            body: collected.to_bytes(),
        }
    }

    pub async fn call(&mut self, path: &str, message: &impl Message) -> Answer {
        self.call_raw(path, &[], frame(message)).await
    }

    /// Opens a stream.
    pub async fn open(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        message: &impl Message,
    ) -> Stream {
        let (_, body) = self.send(path, headers, frame(message)).await;
        Stream { body }
    }
}

/// A message with its head.
pub fn frame(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(message.encoded_len() as u32);
    message.encode(&mut bytes).unwrap();
    bytes.freeze()
}

/// A stream of messages.
pub struct Stream {
    body: Incoming,
}

impl Stream {
    /// The next message, or how the stream ended.
    pub async fn next<M: Message + Default>(&mut self) -> Result<M, String> {
        let mut bytes = BytesMut::new();
        loop {
            let frame = self.body.frame().await.expect("a stream ends with trailers").unwrap();
            match frame.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap();
                    return Err(trailers["grpc-status"].to_str().unwrap().to_owned());
                }
            }
            if bytes.len() >= 5 {
                let length = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize;
                if bytes.len() == 5 + length {
                    return Ok(M::decode(&bytes[5..]).unwrap());
                }
            }
        }
    }
}
