//! Percentages, in JsonLogic.

use super::{
    Compiler, Expression, Form,
    expression::{any, call, present, variable},
};
use crate::{
    Anonymous, Attribute, Bucketing, Definition, FlagType, Method, Release, Share, WHOLE, operator,
};
use serde_json::{Value, json};

/// What is bucketed.
pub(super) struct Unit {
    /// Whether the user has it.
    pub present: Value,
    /// Its value.
    pub value: Value,
}

impl Unit {
    /// The attribute of a rule or of its flag, or what stands in for it.
    pub fn of(definition: &Definition, by: Option<&String>) -> Self {
        let by = by.or(definition.bucket_by.as_ref());
        let by = by.map_or(Attribute::TARGETING_KEY, String::as_str);
        match &definition.anonymous {
            Anonymous::Skip => Self { present: present(by), value: variable(by) },
            Anonymous::Attribute(other) => Self {
                present: any(vec![present(by), present(other)]),
                value: json!({ "if": [present(by), variable(by), variable(other)] }),
            },
        }
    }
}

impl Compiler<'_> {
    /// One of the variants by weight, for a user who has the unit.
    pub(super) fn split(
        &mut self,
        definition: &Definition,
        salt: &str,
        unit: &Unit,
        shares: &[Share],
    ) -> Expression {
        let shares = shares.iter().map(|share| (json!(share.variant), share.weight));
        self.weighted(definition, salt, unit, shares.collect())
    }

    fn weighted(
        &mut self,
        definition: &Definition,
        salt: &str,
        unit: &Unit,
        mut shares: Vec<(Value, u32)>,
    ) -> Expression {
        shares.retain(|(_, weight)| *weight > 0);
        if shares.len() == 1 {
            return Ok(shares.remove(0).0);
        }
        self.size.take(12 + 4 * shares.len())?;
        let shares = shares.into_iter().map(|(variant, weight)| json!([variant, weight]));
        let method = self.method(definition);
        if method == Method::from(self.set.bucketing) {
            let text = json!({ "cat": [format!("{salt}:"), unit.value] });
            let arguments: Vec<Value> = [text].into_iter().chain(shares).collect();
            return Ok(call("fractional", arguments));
        }
        self.server_only("its bucketing is not the one of its set")?;
        let method = method_word(method, definition);
        let head = [json!(method), json!(salt), unit.value.clone()];
        let arguments: Vec<Value> = head.into_iter().chain(shares).collect();
        Ok(call(operator::SPLIT, arguments))
    }

    /// A guarded release for a user who has the unit. `own`: it counts for the flag being compiled.
    pub(super) fn release(
        &mut self,
        definition: &Definition,
        release: &Release,
        unit: &Unit,
        own: bool,
    ) -> Expression {
        let (on, off) = (&release.on, &release.off);
        if own && self.form == Form::Server {
            self.size.take(24)?;
            let method = method_word(self.method(definition), definition);
            return Ok(json!({ operator::RELEASE: [
                method, unit.value, release.exposure, release.exposure_salt,
                release.arm, release.arm_salt, on, off,
            ] }));
        }
        let pair = |first: Value, weight: u32| vec![(first, weight), (json!(off), WHOLE - weight)];
        let treated = pair(json!(on), release.arm);
        let arm = self.weighted(definition, &release.arm_salt, unit, treated)?;
        let exposed = pair(arm, release.exposure);
        self.weighted(definition, &release.exposure_salt, unit, exposed)
    }
}

impl From<Bucketing> for Method {
    fn from(bucketing: Bucketing) -> Self {
        match bucketing {
            Bucketing::V2 => Self::V2,
            Bucketing::V3 => Self::V3,
        }
    }
}

/// A method's name in the server form.
pub(crate) fn method_word(method: Method, definition: &Definition) -> &'static str {
    match method {
        Method::V2 => "v2",
        Method::V3 => "v3",
        Method::Md5_100 => "md5-100",
        Method::Unleash if is_boolean(definition) => "unleash",
        Method::Unleash => "unleash-variant",
    }
}

/// Whether a flag is true or false.
pub(crate) fn is_boolean(definition: &Definition) -> bool {
    let first = definition.variants.0.first();
    first.and_then(|variant| FlagType::of(&variant.value)) == Some(FlagType::Boolean)
}
