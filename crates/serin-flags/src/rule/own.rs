//! Tests that JsonLogic lacks. Only Serin evaluates them; see [`crate::operator`].

use crate::{
    rule::{
        program::Relation,
        val::{Made, Val},
    },
    timestamp,
};
use regex_lite::{Regex, RegexBuilder};
use std::net::IpAddr;

/// Bytes that a compiled expression may have, and bytes of text it is looked for in: together they
/// bound the time of a search, which is their product.
const REGEX_SIZE_MAX: usize = 256 << 10;
const REGEX_NESTING_MAX: u32 = 50;
const SUBJECT_MAX: usize = 8 << 10;

/// A test of one value.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Regex(Regex),
    Cidr(Box<[Network]>),
    Date { relation: Relation, seconds: i64 },
    Text { how: How, lower: Box<str> },
}

/// How texts are compared without regard to case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Equal,
    Contains,
    Starts,
    Ends,
}

impl How {
    pub fn parse(op: &str) -> Option<Self> {
        Some(match op {
            "==" => Self::Equal,
            "contains" => Self::Contains,
            "starts" => Self::Starts,
            "ends" => Self::Ends,
            _ => return None,
        })
    }
}

impl Test {
    /// Whether a value passes.
    pub fn passes<'v>(&self, subject: Val<'v>, made: &Made<'v>) -> bool {
        if let Self::Date { relation, seconds } = self {
            let at = seconds_of(subject, made);
            return relation.holds(at.and_then(|at| at.partial_cmp(&(*seconds as f64))));
        }
        let Some(text) = made.text(subject) else { return false };
        match self {
            Self::Regex(regex) => text.len() <= SUBJECT_MAX && regex.is_match(text),
            Self::Cidr(networks) => match text.parse() {
                Ok(address) => networks.iter().any(|network| network.holds(address)),
                Err(_) => false,
            },
            Self::Text { how, lower } => compare(text, *how, lower),
            Self::Date { .. } => false,
        }
    }
}

/// Compiles an expression; `options` is empty or `i`. Searching takes time in proportion to text
/// and expression, whatever they are.
pub(crate) fn regex(pattern: &str, options: &str) -> Result<Regex, String> {
    if !matches!(options, "" | "i") {
        return Err(format!("`{options}` is no option of an expression; allowed: nothing, or `i`"));
    }
    let mut builder = RegexBuilder::new(pattern);
    builder.case_insensitive(options == "i");
    builder.size_limit(REGEX_SIZE_MAX).nest_limit(REGEX_NESTING_MAX);
    builder.build().map_err(|error| format!("the expression `{pattern}` cannot be used: {error}"))
}

fn seconds_of<'v>(subject: Val<'v>, made: &Made<'v>) -> Option<f64> {
    match subject {
        Val::Int(seconds) => Some(seconds as f64),
        Val::Float(seconds) => Some(seconds),
        _ => timestamp::parse(made.text(subject)?).map(|seconds| seconds as f64),
    }
}

fn compare(text: &str, how: How, lower: &str) -> bool {
    let mut letters = text.chars().flat_map(char::to_lowercase);
    match how {
        How::Equal => letters.eq(lower.chars()),
        How::Starts => lower.chars().all(|wanted| letters.next() == Some(wanted)),
        How::Ends => lower.chars().rev().all(|wanted| letters.next_back() == Some(wanted)),
        How::Contains => letters.collect::<String>().contains(lower),
    }
}

/// A network of IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or an address, which is a network of its own.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|c| c.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
        };
        (bits <= most).then_some(Self { address, bits })
    }

    /// Whether an address lies in it. An IPv4 address written as IPv6 is the IPv4 address.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}
