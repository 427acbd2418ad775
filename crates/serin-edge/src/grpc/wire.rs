//! The messages of flagd's services and of `google.protobuf.Struct`, field by field. What is not
//! read here is skipped.

use prost::{Message, Oneof};
use std::collections::BTreeMap;

/// `google.protobuf.Struct`.
#[derive(Clone, PartialEq, Message)]
pub struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, Value>,
}

/// `google.protobuf.Value`.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub kind: Option<Kind>,
}

/// What a value is.
#[derive(Clone, PartialEq, Oneof)]
pub enum Kind {
    #[prost(int32, tag = "1")]
    Null(i32),
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(message, tag = "5")]
    Struct(Struct),
    #[prost(message, tag = "6")]
    List(List),
}

/// `google.protobuf.ListValue`.
#[derive(Clone, PartialEq, Message)]
pub struct List {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Value>,
}

/// Requests of `Resolve*`, the same for every type.
#[derive(Clone, PartialEq, Message)]
pub struct ResolveRequest {
    #[prost(string, tag = "1")]
    pub flag_key: String,
    #[prost(message, optional, tag = "2")]
    pub context: Option<Struct>,
}

/// The type of an answer, the same for v1 and v2: in v1 a default says nothing, in v2 it is said.
macro_rules! response {
    ($name:ident, $value:ty, $($kind:tt)+) => {
        #[doc = concat!("`", stringify!($name), "Response`.")]
        #[derive(Clone, PartialEq, Message)]
        pub struct $name {
            #[prost($($kind)+, optional, tag = "1")]
            pub value: Option<$value>,
            #[prost(string, tag = "2")]
            pub reason: String,
            #[prost(string, optional, tag = "3")]
            pub variant: Option<String>,
            #[prost(message, optional, tag = "4")]
            pub metadata: Option<Struct>,
        }
    };
}

response!(ResolveBoolean, bool, bool);
response!(ResolveString, String, string);
response!(ResolveFloat, f64, double);
response!(ResolveInt, i64, int64);
response!(ResolveObject, Struct, message);

/// Request of `ResolveAll`.
#[derive(Clone, PartialEq, Message)]
pub struct ResolveAllRequest {
    #[prost(message, optional, tag = "1")]
    pub context: Option<Struct>,
}

/// Response of `ResolveAll`.
#[derive(Clone, PartialEq, Message)]
pub struct ResolveAllResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    pub flags: BTreeMap<String, AnyFlag>,
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<Struct>,
}

/// One flag of `ResolveAll`.
#[derive(Clone, PartialEq, Message)]
pub struct AnyFlag {
    #[prost(string, tag = "1")]
    pub reason: String,
    #[prost(string, tag = "2")]
    pub variant: String,
    #[prost(oneof = "AnyValue", tags = "3, 4, 5, 6")]
    pub value: Option<AnyValue>,
    #[prost(message, optional, tag = "7")]
    pub metadata: Option<Struct>,
}

/// The value of one flag of `ResolveAll`.
#[derive(Clone, PartialEq, Oneof)]
pub enum AnyValue {
    #[prost(bool, tag = "3")]
    Bool(bool),
    #[prost(string, tag = "4")]
    Text(String),
    #[prost(double, tag = "5")]
    Number(f64),
    #[prost(message, tag = "6")]
    Object(Struct),
}

/// One event of `EventStream`.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    #[prost(string, tag = "1")]
    pub kind: String,
    #[prost(message, optional, tag = "2")]
    pub data: Option<Struct>,
}

/// Requests of the sync service.
#[derive(Clone, PartialEq, Message)]
pub struct SyncRequest {
    #[prost(string, tag = "1")]
    pub provider_id: String,
    #[prost(string, tag = "2")]
    pub selector: String,
}

/// Responses of the sync service; `FetchAllFlags` has no context.
#[derive(Clone, PartialEq, Message)]
pub struct SyncResponse {
    #[prost(string, tag = "1")]
    pub flag_configuration: String,
    #[prost(message, optional, tag = "2")]
    pub sync_context: Option<Struct>,
}

impl Value {
    /// A value of this kind.
    pub fn of(kind: Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        Self::of(match json {
            Json::Null => Kind::Null(0),
            Json::Bool(flag) => Kind::Bool(*flag),
            Json::Number(number) => Kind::Number(number.as_f64().unwrap_or_default()),
            Json::String(text) => Kind::Text(text.clone()),
            Json::Array(items) => {
                Kind::List(List { values: items.iter().map(Self::from).collect() })
            }
            Json::Object(map) => Kind::Struct(map.into()),
        })
    }
}

impl From<&serde_json::Map<String, serde_json::Value>> for Struct {
    fn from(map: &serde_json::Map<String, serde_json::Value>) -> Self {
        Self { fields: map.iter().map(|(key, value)| (key.clone(), value.into())).collect() }
    }
}

/// JSON's way to say the same. Whole numbers stay whole: protobuf has only fractions, and a rule
/// that compares with `7` means 7.
impl From<Value> for serde_json::Value {
    fn from(value: Value) -> Self {
        match value.kind {
            None | Some(Kind::Null(_)) => Self::Null,
            Some(Kind::Bool(flag)) => flag.into(),
            Some(Kind::Text(text)) => text.into(),
            Some(Kind::Number(number)) => number_of(number),
            Some(Kind::List(list)) => list.values.into_iter().map(Self::from).collect(),
            Some(Kind::Struct(object)) => Self::Object(object.into()),
        }
    }
}

impl From<Struct> for serde_json::Map<String, serde_json::Value> {
    fn from(object: Struct) -> Self {
        object.fields.into_iter().map(|(key, value)| (key, value.into())).collect()
    }
}

/// The largest whole number up to which a double holds every whole number.
const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

fn number_of(number: f64) -> serde_json::Value {
    if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
        return (number as i64).into();
    }
    number.into()
}
