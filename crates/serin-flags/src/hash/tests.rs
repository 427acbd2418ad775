//! Vectors, worked out by an implementation of their own in another language.

use super::{Murmur3, Sink, bucket_of, cbor, md5_head};
use crate::{Datum, rule::Method};
use proptest::prelude::*;

fn murmur(text: &str, seed: u32) -> u32 {
    let mut murmur = Murmur3::new(seed);
    murmur.put(text.as_bytes());
    murmur.finish()
}

#[test]
fn murmur3_is_everyone_elses() {
    let cases = [
        ("", 0x0000_0000, 0xee93_c64c),
        ("a", 0x3c25_69b2, 0x69fd_c48b),
        ("ab", 0x9bbf_d75f, 0x5f07_0a6c),
        ("abc", 0xb3dd_93fa, 0x0ca4_9394),
        ("abcd", 0x43ed_676a, 0x9fbb_4a8a),
        ("hello", 0x248b_fa47, 0xd7c0_41ad),
        ("user-123", 0x9f70_9a47, 0xd8d8_5a00),
        ("new_checkout:user-123", 0xabaf_8769, 0xfa2b_c2ce),
        ("fractional-flag1", 0x073a_7b8c, 0xdc75_9bf4),
        ("füßchen@例え.jp", 0xb1b5_ad44, 0xaf50_c297),
        ("a longer text, of more than thirty-two bytes in all", 0xcb9c_12ac, 0x8648_4f20),
    ];
    for (text, plain, variant) in cases {
        assert_eq!(murmur(text, 0), plain, "{text}");
        assert_eq!(murmur(text, 86_028_157), variant, "{text}, seed of Unleash's variants");
    }
}

#[test]
fn cbor_is_core_deterministic() {
    let cases = [
        ("0", "00"),
        ("23", "17"),
        ("24", "1818"),
        ("255", "18ff"),
        ("256", "190100"),
        ("65535", "19ffff"),
        ("65536", "1a00010000"),
        ("4294967295", "1affffffff"),
        ("4294967296", "1b0000000100000000"),
        ("9007199254740993", "1b0020000000000001"),
        ("-1", "20"),
        ("-24", "37"),
        ("-25", "3818"),
        ("-9223372036854775808", "3b7fffffffffffffff"),
        ("0.0", "00"),
        ("-0.0", "00"),
        ("7.0", "07"),
        ("1.5", "f93e00"),
        ("0.1", "fb3fb999999999999a"),
        ("-2.25", "f9c080"),
        ("1e-07", "fb3e7ad7f29abcaf48"),
        ("5.960464477539063e-08", "f90001"),
        ("6.103515625e-05", "f90400"),
        ("65504.5", "fa477fe080"),
        ("3.4028234663852886e+38", "fa7f7fffff"),
        ("1e+300", "fb7e37e43c8800759c"),
        ("1e+19", "1b8ac7230489e80000"),
        ("1.8446744073709552e+19", "fa5f800000"),
        ("\"\"", "60"),
        ("\"user-1\"", "66757365722d31"),
        ("\"xxxxxxxxxxxxxxxxxxxxxxxx\"", "7818787878787878787878787878787878787878787878787878"),
        ("true", "f5"),
        ("false", "f4"),
        ("null", "f6"),
        ("[\"new_checkout\", \"u1\"]", "826c6e65775f636865636b6f7574627531"),
        ("{\"b\": 1, \"aa\": [null, 2.5], \"a\": \"t\"}", "a36161617461620162616182f6f94100"),
    ];
    for (json, bytes) in cases {
        let datum: Datum = serde_json::from_str(json).unwrap();
        let mut out = Vec::new();
        cbor::datum(&datum, &mut out);
        let hex = out.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        assert_eq!(hex, bytes, "{json}");
    }
}

#[test]
fn md5_is_everyone_elses() {
    let x = |count| "x".repeat(count);
    let cases = [
        (String::new(), 0xd41d_8cd9),
        ("a".to_owned(), 0x0cc1_75b9),
        ("abc".to_owned(), 0x9001_5098),
        ("message digest".to_owned(), 0xf96b_697d),
        ("new_checkout:user-123".to_owned(), 0x0de5_2489),
        (x(55), 0x0436_4420),
        (x(56), 0x668a_72d5),
        (x(63), 0x7dc2_ca20),
        (x(64), 0xc1bb_4f81),
        (x(119), 0xab34_7a5f),
        (x(120), 0xfb98_667f),
        (x(1000), 0x3985_33d4),
    ];
    for (text, head) in cases {
        assert_eq!(md5_head(&[text.as_bytes()]), head, "{} bytes", text.len());
    }
}

const METHODS: [Method; 5] =
    [Method::V2, Method::V3, Method::Md5, Method::Unleash, Method::UnleashVariant];

#[test]
fn buckets_are_those_of_the_others() {
    let cases = [
        ("new_checkout", "user-123", [67064, 66518, 5000, 1000, 91800]),
        ("checkout", "u1", [2840, 90999, 30000, 20000, 83100]),
        ("checkout", "u2", [422, 22165, 78000, 68000, 98000]),
        ("exp", "anna@example.com", [25881, 76361, 55000, 11000, 92400]),
        ("exp", "4b3c1f0e-58a1-4d0c-9c58-0f4c6a0f4e11", [55766, 59616, 65000, 3000, 37700]),
        ("s", "42", [37065, 41476, 17000, 71000, 67800]),
        ("groß", "ünïcode", [54335, 16093, 75000, 1000, 54400]),
    ];
    for (salt, unit, buckets) in cases {
        for (method, bucket) in METHODS.into_iter().zip(buckets) {
            let found = method.bucket(&format!("{salt}:"), unit);
            assert_eq!(found, bucket, "{} of {salt}:{unit}", method.as_str());
        }
    }
}

/// A version 4 identifier out of a counter: not random, but as varied.
fn uuid(n: u64) -> String {
    let (a, b) = (n.wrapping_mul(0x9E37_79B9_7F4A_7C15), n.wrapping_mul(0xD1B5_4A32_D192_ED03));
    let (a, b) = (a ^ a >> 29, b ^ b >> 31);
    let (first, second, third) = (a >> 32, a >> 16 & 0xFFFF, a & 0xFFF);
    format!("{first:08x}-{second:04x}-4{third:03x}-a{:03x}-{:012x}", b >> 48 & 0xFFF, b >> 16)
}

/// Whether people fall evenly into 20 parts of equal size: chi-square with 19 degrees of freedom,
/// whose 0.9999 quantile is 50.8. Fixed data, so this passes always or never.
#[test]
fn buckets_are_even() {
    type Unit = fn(u64) -> String;
    let units: [(&str, Unit); 3] = [
        ("numbers", |n| n.to_string()),
        ("uuids", uuid),
        ("e-mails", |n| format!("person{n}@example.com")),
    ];
    for method in METHODS {
        for (name, unit) in units {
            let mut counts = [0_f64; 20];
            for n in 1..=1000 {
                counts[method.bucket("salt:", &unit(n)) as usize / 5_000] += 1.0;
            }
            let chi: f64 = counts.iter().map(|count| (count - 50.0).powi(2) / 50.0).sum();
            assert!(chi < 50.8, "{} over {name}: {chi}", method.as_str());
        }
    }
}

proptest! {
    #[test]
    fn pieces_hash_like_the_whole(pieces in prop::collection::vec(".{0,9}", 0..8)) {
        let mut murmur = Murmur3::new(0);
        let parts: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
        for part in &parts {
            murmur.put(part);
        }
        let whole = pieces.concat();
        prop_assert_eq!(murmur.finish(), self::murmur(&whole, 0));
        prop_assert_eq!(md5_head(&parts), md5_head(&[whole.as_bytes()]));
    }

    #[test]
    fn a_bucket_is_one_of_them(hash: u32, total in 1..=i32::MAX as u32) {
        prop_assert!(bucket_of(hash, total) < total);
    }
}
