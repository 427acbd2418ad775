//! The framing of gRPC over HTTP/2: five bytes before each message, the status in trailers.

use crate::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use http_body::Frame;
use prost::Message;
use std::fmt::Write as _;

/// Largest request message, in bytes.
pub const MAX_MESSAGE: usize = 1024 * 1024;
/// Bytes before a message: compressed or not, then its length.
const HEAD: usize = 5;

/// A status of gRPC, of those we give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Ok = 0,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

/// Why a call failed.
#[derive(Debug, PartialEq, Eq)]
pub struct Status {
    pub code: Code,
    pub message: String,
}

impl Status {
    /// A status with a word for people.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The trailers that say so.
    pub fn trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::with_capacity(2);
        trailers.insert("grpc-status", HeaderValue::from(self.code as u16));
        if let Ok(text) = HeaderValue::from_str(&escaped(&self.message))
            && !text.is_empty()
        {
            trailers.insert("grpc-message", text);
        }
        trailers
    }

    /// The end of a stream.
    pub fn end(&self) -> Frame<Bytes> {
        Frame::trailers(self.trailers())
    }
}

/// Percent-encoded where the protocol wants it: all but printable ASCII, and the percent itself.
fn escaped(message: &str) -> String {
    message.bytes().fold(String::with_capacity(message.len()), |mut text, byte| {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            text.push(byte.into());
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// The one message of a unary request.
///
/// # Errors
/// What is wrong with it, as the status to answer.
pub fn decode<M: Message + Default>(body: &Bytes) -> Result<M, Status> {
    let bad = |what: &str| Status::new(Code::InvalidArgument, what);
    let Some((head, rest)) = body.split_first_chunk::<HEAD>() else {
        return Err(bad("the request has no message"));
    };
    if head[0] != 0 {
        let what = "compressed messages are not understood; send them plain";
        return Err(Status::new(Code::Unimplemented, what));
    }
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    if rest.len() != length as usize {
        return Err(bad("the request is not exactly one message"));
    }
    M::decode(rest).map_err(|error| bad(&format!("the message cannot be read: {error}")))
}

/// A message with its head.
pub fn encode(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(HEAD + length);
    bytes.put_u8(0);
    bytes.put_u32(length as u32);
    // There is room: it was measured.
    let _ = message.encode(&mut bytes);
    bytes.freeze()
}

/// Answers a call with one message.
pub fn answer(message: Bytes) -> http::Response<Body> {
    let trailers = Status::new(Code::Ok, "").trailers();
    response(Body::Message(Some(message), Some(trailers)))
}

/// Answers a call with a failure.
pub fn failed(status: &Status) -> http::Response<Body> {
    let mut response = response(Body::empty());
    response.headers_mut().extend(status.trailers());
    response
}

/// Answers a call with this body.
pub fn response(body: Body) -> http::Response<Body> {
    let mut response = http::Response::new(body);
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The time a client gives a call: at most 8 digits and a unit.
pub fn timeout(headers: &HeaderMap) -> Option<std::time::Duration> {
    use std::time::Duration;
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::wire::SyncRequest;
    use std::time::Duration;

    #[test]
    fn a_message_travels_in_its_frame() {
        let sent = SyncRequest { provider_id: "me".into(), selector: "flagSetId=x".into() };
        let frame = encode(&sent);
        assert_eq!(frame[..5], [0, 0, 0, 0, 17]);
        assert_eq!(decode::<SyncRequest>(&frame), Ok(sent));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let cases: [(&[u8], Code); 5] = [
            (b"", Code::InvalidArgument),
            (b"\0\0\0\0", Code::InvalidArgument),
            (b"\x01\0\0\0\0", Code::Unimplemented),
            (b"\0\0\0\0\x02a", Code::InvalidArgument),
            (b"\0\0\0\0\x01\xff", Code::InvalidArgument),
        ];
        for (bytes, wanted) in cases {
            let found = decode::<SyncRequest>(&Bytes::from_static(bytes)).unwrap_err().code;
            assert_eq!(found, wanted, "{bytes:?}");
        }
    }

    #[test]
    fn a_status_is_spelled_in_ascii() {
        let trailers = Status::new(Code::NotFound, "100 % für \"x\"\n").trailers();
        assert_eq!(trailers["grpc-status"], "5");
        assert_eq!(trailers["grpc-message"], "100 %25 f%C3%BCr \"x\"%0A");
        assert!(!Status::new(Code::Ok, "").trailers().contains_key("grpc-message"));
    }

    #[test]
    fn deadlines_have_units() {
        let cases = [
            ("500m", Some(Duration::from_millis(500))),
            ("10S", Some(Duration::from_secs(10))),
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("7u", Some(Duration::from_micros(7))),
            ("7n", Some(Duration::from_nanos(7))),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("5x", None),
            ("-5S", None),
        ];
        for (text, wanted) in cases {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", HeaderValue::from_static(text));
            assert_eq!(timeout(&headers), wanted, "{text}");
        }
    }
}
