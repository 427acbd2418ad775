//! Random flags: rules over all of flagd's operators, mostly as people write them, sometimes
//! with operands that make no sense.

use fastrand::Rng;
use serde_json::{Value, json};

/// Names of the attributes that contexts have, by what they hold.
pub const TEXTS: &[&str] = &["email", "plan", "country", "org.tier.name", "empty"];
pub const NUMBERS: &[&str] = &["age", "score", "weight", "org.id", "nums.0", "zero"];
pub const LISTS: &[&str] = &["tags", "nums", "none"];
pub const OTHERS: &[&str] = &["beta", "nil", "mixed", "numeric", "absent", "org", "orders", "tags"];
/// Values of the text attributes, so that rules meet them.
pub const WORDS: &[&str] =
    &["pro", "free", "de", "a@corp.com", "@corp.com", "gold", "", "übung", "ü"];
/// How many of them are ASCII.
const PLAIN: usize = 7;

/// What a flag's variants hold.
const VARIANTS: &[&str] = &["on", "off", "true", "false", "a", "b", "1"];

/// Writes one flag.
pub struct Writer<'a> {
    pub rng: &'a mut Rng,
    /// Names of the shared conditions the document has.
    pub shared: &'a [String],
    /// Operands may be of any type.
    pub wild: bool,
    /// Words of ASCII only.
    pub plain: bool,
}

impl Writer<'_> {
    /// A whole flag.
    pub fn flag(&mut self) -> Value {
        let mut flag = json!({
            "state": if self.one_in(20) { "DISABLED" } else { "ENABLED" },
            "variants": self.variants(),
        });
        match self.rng.u8(..10) {
            0 => flag["defaultVariant"] = Value::Null,
            1 => {}
            2 => flag["defaultVariant"] = json!("on"),
            _ => flag["defaultVariant"] = json!("off"),
        }
        match self.rng.u8(..20) {
            0 => {}
            1 => flag["targeting"] = json!({}),
            2 => flag["targeting"] = Value::Null,
            _ => flag["targeting"] = self.targeting(),
        }
        flag
    }

    fn variants(&mut self) -> Value {
        let mut variants = serde_json::Map::new();
        let kind = self.rng.u8(..5);
        for (at, name) in VARIANTS.iter().enumerate() {
            let value = match kind {
                0 => json!(at % 2 == 0),
                1 => json!(format!("value of {name}")),
                2 => json!(at),
                3 => json!(at as f64 + 0.5),
                _ => json!({"name": name, "list": [at]}),
            };
            variants.insert((*name).to_owned(), value);
        }
        Value::Object(variants)
    }

    fn targeting(&mut self) -> Value {
        match self.rng.u8(..20) {
            0..12 => self.chain(2),
            12..17 => self.fractional(2),
            17 => self.reference(),
            _ => self.condition(2),
        }
    }

    /// `if`, with several conditions, with or without an else.
    fn chain(&mut self, depth: u8) -> Value {
        let mut parts = Vec::new();
        for _ in 0..self.rng.u8(1..4) {
            parts.push(self.condition(depth));
            parts.push(self.outcome(depth));
        }
        if self.rng.bool() {
            parts.push(self.outcome(depth));
        }
        json!({"if": parts})
    }

    fn outcome(&mut self, depth: u8) -> Value {
        match self.rng.u8(..24) {
            0..12 => self.variant(),
            12..17 if depth > 0 => self.fractional(depth - 1),
            17..19 if depth > 0 => self.chain(depth - 1),
            19 => json!("no such variant"),
            20 => json!(self.rng.bool()),
            21 => json!(1),
            22 => self.var("plan"),
            _ => Value::Null,
        }
    }

    fn variant(&mut self) -> Value {
        json!(VARIANTS[self.rng.usize(..VARIANTS.len())])
    }

    fn fractional(&mut self, depth: u8) -> Value {
        let mut parts = Vec::new();
        parts.extend(self.bucket_by());
        let sum = [1, 2, 100, 1000, 100_000][self.rng.usize(..5)];
        for _ in 0..self.rng.u8(1..5) {
            parts.push(self.bucket(sum, depth));
        }
        json!({"fractional": parts})
    }

    fn bucket_by(&mut self) -> Option<Value> {
        Some(match self.rng.u8(..12) {
            0..4 => return None,
            4..8 => json!({"cat": [self.salt(), self.var("targetingKey")]}),
            8 => self.var("targetingKey"),
            9 => self.var("email"),
            10 if self.wild => self.anything(),
            _ => json!({"cat": [self.var("$flagd.flagKey"), self.var("email")]}),
        })
    }

    fn salt(&mut self) -> Value {
        json!(format!("salt-{}", self.rng.u16(..)))
    }

    fn bucket(&mut self, sum: i64, depth: u8) -> Value {
        let variant = match self.rng.u8(..12) {
            0 if depth > 0 => self.chain(depth - 1),
            1 if depth > 0 => self.fractional(depth - 1),
            2 => Value::Null,
            3 => json!(self.rng.bool()),
            4 => json!(1),
            _ => self.variant(),
        };
        match self.rng.u8(..16) {
            0 => json!([variant]),
            1 => json!([variant, -self.rng.i64(0..=sum)]),
            2 => json!([variant, 0]),
            3 => json!([variant, self.var("weight")]),
            4 => json!([variant, {"+": [self.rng.i64(0..=sum), 1]}]),
            5 if self.wild => json!([variant, self.anything()]),
            6 if self.wild => json!([variant, 2_147_483_647_i64]),
            _ => json!([variant, self.rng.i64(0..=sum)]),
        }
    }

    fn reference(&mut self) -> Value {
        if self.shared.is_empty() || self.one_in(40) {
            return json!({"$ref": "no such condition"});
        }
        json!({"$ref": self.shared[self.rng.usize(..self.shared.len())]})
    }

    /// An expression that is meant to be true or false.
    pub fn condition(&mut self, depth: u8) -> Value {
        match self.rng.u8(..24) {
            4..8 => self.compared_numbers(),
            8..11 => self.member(),
            11 => self.version(),
            12..14 => self.affix(),
            14 => self.presence(),
            15 => self.truth(),
            16 => self.time(),
            17 if depth > 0 => self.reference(),
            18..21 if depth > 0 => self.both(depth - 1),
            21 if depth > 0 => json!({"!": [self.condition(depth - 1)]}),
            22 if depth > 0 => self.over_list(),
            _ => self.compared_text(),
        }
    }

    fn both(&mut self, depth: u8) -> Value {
        let operator = if self.rng.bool() { "and" } else { "or" };
        let parts: Vec<Value> = (0..self.rng.u8(2..4)).map(|_| self.condition(depth)).collect();
        json!({operator: parts})
    }

    fn compared_text(&mut self) -> Value {
        let operator = self.pick(&["==", "===", "!=", "!==", "<", ">="]);
        json!({operator: [self.text(), self.text()]})
    }

    fn compared_numbers(&mut self) -> Value {
        if self.one_in(5) {
            let operator = self.pick(&["<", "<="]);
            return json!({operator: [self.number(), self.number(), self.number()]});
        }
        let operator = self.pick(&["==", "===", "!=", "!==", "<", "<=", ">", ">="]);
        json!({operator: [self.number(), self.number()]})
    }

    fn member(&mut self) -> Value {
        let list = match self.rng.u8(..6) {
            0 => self.attribute(LISTS),
            1 => self.text(),
            2 => json!([1, 2, 3, "pro"]),
            3 => json!([{"var": "plan"}, "gold"]),
            4 => json!({"merge": [self.attribute(LISTS), ["de", "fr"]]}),
            _ => json!(["pro", "a@corp.com", "de", "user-3"]),
        };
        json!({"in": [self.text(), list]})
    }

    fn version(&mut self) -> Value {
        let operator = self.pick(&["=", "!=", "<", "<=", ">", ">=", "~", "^", "<>"]);
        let version = self.pick(&["1.2.3", "v2.0.0", "1.10.0-rc.1", "2", "1.2", "1.2.3+b7", "no"]);
        if self.one_in(20) {
            return json!({"sem_ver": [self.var("version"), operator]});
        }
        json!({"sem_ver": [self.var("version"), operator, version]})
    }

    fn affix(&mut self) -> Value {
        let operator = self.pick(&["starts_with", "ends_with"]);
        let text = self.word();
        if self.one_in(20) {
            return json!({operator: [self.text()]});
        }
        let value = if self.wild { self.anything() } else { self.text() };
        json!({operator: [value, text]})
    }

    fn presence(&mut self) -> Value {
        let name = self.pick(&["email", "absent", "nil", "org.tier.name", "empty"]);
        match self.rng.u8(..3) {
            0 => json!({"!": [{"missing": [name, "plan"]}]}),
            1 => json!({"!": {"missing_some": [1, [name, "absent"]]}}),
            _ => json!({"==": [self.var(name), null]}),
        }
    }

    fn truth(&mut self) -> Value {
        let operand = self.attribute(OTHERS);
        match self.rng.u8(..3) {
            0 => json!({"!!": [operand]}),
            1 => json!({"!": operand}),
            _ => operand,
        }
    }

    /// Far from now on either side, because the evaluators read their own clocks.
    fn time(&mut self) -> Value {
        let moment = [1_000_000_000, 4_100_000_000_i64][self.rng.usize(..2)];
        json!({"<": [self.var("$flagd.timestamp"), moment]})
    }

    fn over_list(&mut self) -> Value {
        let operator = self.pick(&["all", "some", "none"]);
        match self.rng.u8(..4) {
            0 => {
                json!({operator: [self.attribute(&["tags", "none"]), {"in": [{"var": ""}, [self.word(), self.word()]]}]})
            }
            1 => {
                json!({operator: [{"var": "orders"}, {">": [{"var": "price"}, self.rng.u8(..50)]}]})
            }
            2 => json!({">": [{"reduce": [{"var": "nums"},
                {"+": [{"var": "current"}, {"var": "accumulator"}]}, 0]}, self.rng.u8(..20)]}),
            _ => json!({"in": [self.rng.u8(..9), {self.pick(&["map", "filter"]):
                [{"var": "nums"}, {"%": [{"var": ""}, 3]}]}]}),
        }
    }

    fn text(&mut self) -> Value {
        if self.wild && self.rng.bool() {
            return self.anything();
        }
        match self.rng.u8(..10) {
            0..4 => json!(self.word()),
            4 => json!({"cat": [self.attribute(&["plan", "country"]), "-", self.word()]}),
            5 => json!({"substr": [self.word(), self.rng.i64(-3..4), self.rng.i64(-2..4)]}),
            6 => json!({"var": [self.pick(&["plan", "absent"]), "free"]}),
            7 => self.var("targetingKey"),
            _ => self.attribute(TEXTS),
        }
    }

    fn word(&mut self) -> &'static str {
        let words = if self.plain { &WORDS[..PLAIN] } else { WORDS };
        words[self.rng.usize(..words.len())]
    }

    fn number(&mut self) -> Value {
        if self.wild && self.rng.bool() {
            return self.anything();
        }
        match self.rng.u8(..10) {
            0..3 => json!(self.rng.i64(-5..60)),
            3 => json!(f64::from(self.rng.i32(-10..100)) / 4.0),
            4 => {
                let operator = self.pick(&["+", "-", "*", "min", "max"]);
                json!({operator: [self.simple_number(), self.simple_number()]})
            }
            5 => {
                let operator = self.pick(&["/", "%"]);
                json!({operator: [self.simple_number(), self.rng.u8(1..9)]})
            }
            6 => json!({"var": [self.pick(&["age", "absent"]), 7]}),
            _ => self.attribute(NUMBERS),
        }
    }

    fn simple_number(&mut self) -> Value {
        if self.rng.bool() { self.attribute(NUMBERS) } else { json!(self.rng.i64(-9..99)) }
    }

    /// A value or attribute of any type.
    fn anything(&mut self) -> Value {
        match self.rng.u8(..12) {
            0 => Value::Null,
            1 => json!(self.rng.bool()),
            2 => json!(self.rng.i64(-3..30)),
            3 => json!(f64::from(self.rng.i32(-9..99)) / 2.0),
            4 => json!(self.pick(&["1", "10", " 7 ", "x", "1e1", "0x10", "-0.5"])),
            5 => json!([self.rng.u8(..3)]),
            6 => self.attribute(NUMBERS),
            7 => self.attribute(TEXTS),
            _ => self.attribute(OTHERS),
        }
    }

    fn attribute(&mut self, names: &[&'static str]) -> Value {
        let name = self.pick(names);
        self.var(name)
    }

    /// `{"var": name}`, in both spellings.
    fn var(&mut self, name: &str) -> Value {
        if self.one_in(4) { json!({"var": [name]}) } else { json!({"var": name}) }
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.rng.usize(..from.len())]
    }

    fn one_in(&mut self, count: u8) -> bool {
        self.rng.u8(..count) == 0
    }
}

/// Whether an operator is used in a rule.
pub fn has(rule: &Value, operators: &[&str]) -> bool {
    match rule {
        Value::Object(parts) => parts
            .iter()
            .any(|(name, part)| operators.contains(&name.as_str()) || has(part, operators)),
        Value::Array(parts) => parts.iter().any(|part| has(part, operators)),
        _ => false,
    }
}

/// What the attributes hold that a rule reads; null for those that are not there.
pub fn attributes<'v>(
    rule: &'v Value,
    context: &'v Value,
) -> Box<dyn Iterator<Item = &'v Value> + 'v> {
    match rule {
        Value::Object(parts) => Box::new(parts.iter().flat_map(move |(name, part)| {
            let path = if name == "var" { part.as_str().or(part[0].as_str()) } else { None };
            let read = path.filter(|path| !path.starts_with('$')).map(|path| held(path, context));
            read.into_iter().chain(attributes(part, context))
        })),
        Value::Array(parts) => Box::new(parts.iter().flat_map(|part| attributes(part, context))),
        _ => Box::new(std::iter::empty()),
    }
}

fn held<'v>(path: &str, context: &'v Value) -> &'v Value {
    path.split('.').fold(context, |value, name| match name.parse::<usize>() {
        Ok(at) => &value[at],
        Err(_) => &value[name],
    })
}

/// Whether a rule reads an attribute that is not there, or writes null itself.
pub fn reads_nothing(rule: &Value, context: &Value) -> bool {
    attributes(rule, context).any(Value::is_null) || rule.to_string().contains("null")
}

/// Whether a value is an object without entries.
pub fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}
