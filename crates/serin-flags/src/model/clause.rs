//! One question about a user.

use crate::Scalar;
use serde::{Deserialize, Serialize};

/// The attributes that are not the app's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute;

impl Attribute {
    /// Who the user is.
    pub const TARGETING_KEY: &'static str = "targetingKey";
    /// The second of the evaluation, for clauses on dates.
    pub const NOW: &'static str = "$now";
}

/// A question about one attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Clause {
    /// The attribute; dots go into objects (`address.country`). `$now` is the time.
    pub attribute: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what; one that fits is enough. [`Operator::Exists`] takes none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Scalar>,
    /// The opposite: also true for a user without the attribute.
    #[serde(default, skip_serializing_if = "is_false")]
    pub inverted: bool,
    /// Upper and lower case are the same. Only for comparisons of text; only Serin evaluates it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ignore_case: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // what serde asks for
fn is_false(flag: &bool) -> bool {
    !flag
}

/// How an attribute is compared. A user without the attribute never fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operator {
    /// The same value. A number or truth value also fits its text, which is all that headers carry.
    Equals,
    /// The same as one of several.
    In,
    /// Below a number.
    LessThan,
    /// At most a number.
    AtMost,
    /// Above a number.
    GreaterThan,
    /// At least a number.
    AtLeast,
    /// A text has this part, or a list this text as a member.
    Contains,
    /// A text starts so.
    StartsWith,
    /// A text ends so; `@example.com` for the people of a company.
    EndsWith,
    /// A regular expression is found in the text. Only Serin evaluates it.
    Matches,
    /// An address lies in a network. Only Serin evaluates it.
    InNetwork,
    /// A time is earlier. Only Serin evaluates it, except for `$now`.
    Before,
    /// A time is later. Only Serin evaluates it, except for `$now`.
    After,
    /// The same semantic version.
    VersionEquals,
    /// A lower semantic version.
    VersionLessThan,
    /// At most this version.
    VersionAtMost,
    /// A higher semantic version.
    VersionGreaterThan,
    /// At least this version.
    VersionAtLeast,
    /// The same major version (`^`).
    VersionSameMajor,
    /// The same major and minor version (`~`).
    VersionSameMinor,
    /// The user has the attribute.
    Exists,
}

impl Operator {
    /// Whether it compares text, so that case can be ignored.
    pub fn compares_text(self) -> bool {
        matches!(
            self,
            Self::Equals
                | Self::In
                | Self::Contains
                | Self::StartsWith
                | Self::EndsWith
                | Self::Matches
        )
    }
}
