//! The body of an evaluation, read without building what nobody looks at.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serin_flags::{Context, Datum, ErrorCode, EvalError};
use std::borrow::Cow;
use std::fmt;

/// Contexts rarely have more attributes.
const USUAL: usize = 16;

/// `{"context": {..}}`; everything else in it is skipped.
#[derive(Default)]
pub struct Body<'a>(pub Context<'a>);

/// The context in a request's body; no body is an empty one.
///
/// # Errors
/// It is not JSON, or not of this form.
pub fn read(bytes: &[u8]) -> Result<Context<'_>, EvalError> {
    if bytes.is_empty() {
        return Ok(Context::new());
    }
    let invalid = |error: serde_json::Error| {
        let details = format!("the body cannot be read: {error}; send {{\"context\": {{..}}}}");
        EvalError::new(ErrorCode::InvalidContext, details)
    };
    serde_json::from_slice(bytes).map(|Body(context)| context).map_err(invalid)
}

impl<'de> Deserialize<'de> for Body<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(BodyReader)
    }
}

struct BodyReader;

impl<'de> Visitor<'de> for BodyReader {
    type Value = Body<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a `context`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut body = Body::default();
        while let Some(name) = entries.next_key::<Name>()? {
            if name.0 == "context" {
                body.0 = entries.next_value::<Option<Attributes>>()?.unwrap_or_default().0;
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(body)
    }
}

#[derive(Default)]
struct Attributes<'a>(Context<'a>);

impl<'de> Deserialize<'de> for Attributes<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AttributesReader)
    }
}

struct AttributesReader;

impl<'de> Visitor<'de> for AttributesReader {
    type Value = Attributes<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::with_capacity(USUAL);
        while let Some((Name(name), datum)) = entries.next_entry::<Name, Datum>()? {
            all.push((name, datum));
        }
        Ok(Attributes(all.into_iter().collect()))
    }
}

/// A name, borrowed unless it holds escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameReader)
    }
}

struct NameReader;

impl<'de> Visitor<'de> for NameReader {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Name(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Name(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_context_is_refused() {
        let deep = format!("{{\"context\":{{\"a\":{}{}}}}}", "[".repeat(200), "]".repeat(200));
        for bad in ["{", "[]", "1", "{\"context\":1}", "{\"context\":[]}", "{} x", "null", &deep] {
            let error = read(bad.as_bytes()).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidContext, "{bad}");
        }
        assert_eq!(
            read(b"{\"context\":{\"a\":\"\xff\"}}").unwrap_err().code,
            ErrorCode::InvalidContext
        );
    }

    /// Read one by one into their order, these would take minutes.
    #[test]
    fn many_attributes_are_read_as_fast_as_few() {
        let many: Vec<String> = (0..80_000).map(|n| format!("\"a{n}\":1")).collect();
        let text = format!("{{\"context\":{{{}}}}}", many.join(","));
        assert_eq!(read(text.as_bytes()).unwrap().len(), many.len());
    }

    #[test]
    fn a_context_is_read_whatever_stands_beside_it() {
        for none in ["", "{}", "{\"context\":null}", "{\"context\":{}}", "{\"other\":[{}]}"] {
            assert!(read(none.as_bytes()).unwrap().is_empty(), "{none}");
        }
        let text = r#"{"x":[1,{"y":2}],"cont\u0065xt":{"targetingKey":"u1","n":7,"f":7.5,"b":true,
            "l":["\u00e4"],"o":{"p":null},"n":8}}"#;
        let context = read(text.as_bytes()).unwrap();
        assert_eq!(context.targeting_key(), Some("u1"));
        assert_eq!(context.get("n"), Some(&Datum::Int(8)));
        assert_eq!(context.get("f"), Some(&Datum::Float(7.5)));
        assert_eq!(context.get("l"), Some(&Datum::List(vec![Datum::Text("ä".into())])));
        assert_eq!(context.get("o").and_then(|o| o.field("p")), Some(&Datum::Null));
        assert_eq!(context.len(), 6);
    }
}
