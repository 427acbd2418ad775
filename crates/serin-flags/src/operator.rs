//! The operators Serin adds to JsonLogic in documents that only Serin evaluates
//! (the server form). A portable document has none of them.
//!
//! All arguments are positional. Where an argument is said to be literal it is never evaluated.
//! A **unit** is the text that is bucketed: a string as it is, a number or boolean as `cat` writes
//! it. A unit that is null, empty, a list or an object gives **null**, whatever the other arguments.

/// `{"serin_split": [method, salt, unit, [variant, weight], ...]}`: one of the variants by weight.
///
/// `method`, `salt` and `weight` are literal; `variant` may be an expression (evaluated only when
/// chosen). Weights are parts per 100 000 and sum to 100 000. The text hashed is `salt:unit`.
/// The bucket lies in 0..100 000 and the first variant whose cumulative weight is above it wins:
/// - `"v2"`: `(murmur3_32(utf8, seed 0) * 100 000) >> 32`, flagd's v2.
/// - `"v3"`: the same over the CBOR of the text, flagd's v3.
/// - `"md5-100"`: `u32(first 8 hex digits of md5) % 100 * 1 000`.
/// - `"unleash"`: `murmur3_32(utf8, seed 0) % 100 * 1 000`.
/// - `"unleash-variant"`: `murmur3_32(utf8, seed 86028157) % 1 000 * 100`.
pub const SPLIT: &str = "serin_split";

/// `{"serin_release": [method, unit, exposure, exposure_salt, arm, arm_salt, on, off]}`: a guarded
/// release.
///
/// All literal but `unit`. `exposure` and `arm` are parts per 100 000; `method` is `"v2"` or `"v3"`.
/// When the bucket of `exposure_salt:unit` is not below `exposure` the result is `off` and the user
/// is in no arm. Otherwise the bucket of `arm_salt:unit` below `arm` gives `on` (treatment), else
/// `off` (control). Only a flag's own release is written so; one that is inlined into another flag
/// is written as two [`SPLIT`]s, so that it never counts for that flag.
pub const RELEASE: &str = "serin_release";

/// `{"serin_regex": [subject, pattern, options]}`: whether the pattern is found in the subject.
/// `pattern` and `options` (`""` or `"i"`) are literal. A subject that is no string gives false.
pub const REGEX: &str = "serin_regex";

/// `{"serin_cidr": [subject, network, ...]}`: whether the address lies in one of the networks
/// (literal, IPv4 or IPv6, a bare address is itself). A subject that is no address gives false.
pub const CIDR: &str = "serin_cidr";

/// `{"serin_date": [subject, op, seconds]}`: compares times. `op` is one of `<`, `<=`, `>`, `>=`;
/// `seconds` is a literal whole number since 1970. The subject is RFC 3339 text or a number of
/// seconds; anything else gives false.
pub const DATE: &str = "serin_date";

/// `{"serin_text": [subject, op, text]}`: compares without regard to case (each character's
/// Unicode lower case). `op` is `"=="`, `"contains"`, `"starts"` or `"ends"`; both are literal. A
/// subject that is no string gives false.
pub const TEXT: &str = "serin_text";
