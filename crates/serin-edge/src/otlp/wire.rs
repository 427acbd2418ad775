//! The messages of OTLP, as far as they say anything of flags, in protobuf and JSON alike.

use prost::Message;
use serde::{Deserialize, Deserializer};

/// What lies around the records: a request has resources, these have scopes, these have records.
macro_rules! around {
    ($all:ident, $resource:ident, $scope:ident, $item:ident, $names:literal) => {
        #[derive(Clone, PartialEq, Message, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub struct $all {
            #[prost(message, repeated, tag = "1")]
            #[serde(alias = "resourceLogs", alias = "resourceSpans")]
            pub resources: Vec<$resource>,
        }

        #[derive(Clone, PartialEq, Message, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub struct $resource {
            #[prost(message, repeated, tag = "2")]
            #[serde(alias = "scopeLogs", alias = "scopeSpans")]
            pub scopes: Vec<$scope>,
        }

        #[derive(Clone, PartialEq, Message, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub struct $scope {
            #[prost(message, repeated, tag = "2")]
            #[serde(alias = $names)]
            pub items: Vec<$item>,
        }

        impl $all {
            /// All of them.
            pub fn items(self) -> impl Iterator<Item = $item> {
                let scopes = self.resources.into_iter().flat_map(|resource| resource.scopes);
                scopes.flat_map(|scope| scope.items)
            }
        }
    };
}

around!(Logs, ResourceLogs, ScopeLogs, Record, "logRecords");
around!(Traces, ResourceSpans, ScopeSpans, Span, "spans");

/// A log record.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Record {
    #[prost(message, repeated, tag = "6")]
    pub attributes: Vec<Attribute>,
    #[prost(bytes = "vec", tag = "9")]
    #[serde(deserialize_with = "hex")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    #[serde(deserialize_with = "hex")]
    pub span_id: Vec<u8>,
    #[prost(string, tag = "12")]
    pub event_name: String,
}

/// A span.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "JSON calls them so")]
pub struct Span {
    #[prost(bytes = "vec", tag = "1")]
    #[serde(deserialize_with = "hex")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    #[serde(deserialize_with = "hex")]
    pub span_id: Vec<u8>,
    #[prost(fixed64, tag = "7")]
    #[serde(deserialize_with = "number")]
    pub start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    #[serde(deserialize_with = "number")]
    pub end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<Attribute>,
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<Event>,
    #[prost(message, optional, tag = "15")]
    pub status: Option<Status>,
}

/// How a span ended.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub struct Status {
    /// 2 is an error.
    #[prost(int32, tag = "3")]
    #[serde(deserialize_with = "code")]
    pub code: i32,
}

/// An event of a span.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Event {
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "3")]
    pub attributes: Vec<Attribute>,
}

/// One attribute.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Attribute {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<Text>,
}

/// A value, as far as it is text or a truth value.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Text {
    #[prost(string, optional, tag = "1")]
    pub string_value: Option<String>,
    #[prost(bool, optional, tag = "2")]
    pub bool_value: Option<bool>,
}

/// The status code of an error.
pub const ERROR: i32 = 2;

/// Ids are hexadecimal in JSON; what is none is no id.
fn hex<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let pairs = digits.unwrap_or_default();
    Ok(pairs.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect())
}

/// Large numbers are texts in JSON, and some clients write them as numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    Ok(match Written::deserialize(from)? {
        Written::Number(number) => number,
        Written::Text(text) => text.parse().unwrap_or_default(),
    })
}

/// Codes are numbers in JSON, and some clients write their names.
fn code<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    Ok(match Written::deserialize(from)? {
        Written::Number(number) => i32::try_from(number).unwrap_or_default(),
        Written::Text(text) if text == "STATUS_CODE_ERROR" => ERROR,
        Written::Text(_) => 0,
    })
}
