//! Logarithmic buckets of base g = 2^(1/32): 32 buckets an octave, 2.2 % wide each. The same
//! boundaries as Prometheus native histograms and OpenTelemetry exponential histograms, schema 5.

/// Number of buckets.
pub const BUCKETS: usize = 1024;
/// The last bucket; it also holds everything slower than its own edge (71 minutes).
pub const MAX_BUCKET: u16 = 1023;

/// `ceil(2^63 * 2^(i/32))`: the boundaries inside one octave, for integers normalised to bit 63.
const OCTAVE: [u64; 32] = [
    0x8000_0000_0000_0000,
    0x82cd_8698_ac2b_a1d8,
    0x85aa_c367_cc48_7b15,
    0x8898_0e80_92da_8528,
    0x8b95_c1e3_ea8b_d6e7,
    0x8ea4_398b_45cd_53c1,
    0x91c3_d373_ab11_c337,
    0x94f4_efa8_fef7_0962,
    0x9837_f051_8db8_a970,
    0x9b8d_39b9_d54e_5539,
    0x9ef5_3260_91a1_11ae,
    0xa270_4303_0c49_6819,
    0xa5fe_d6a9_b151_38eb,
    0xa9a1_5ab4_ea7c_0ef9,
    0xad58_3eea_42a1_4ac7,
    0xb123_f581_d2ac_2590,
    0xb504_f333_f9de_6485,
    0xb8fb_af47_62fb_9eea,
    0xbd08_a39f_580c_36bf,
    0xc12c_4cca_6670_9457,
    0xc567_2a11_5506_dade,
    0xc9b9_bd86_6e2f_27a3,
    0xce24_8c15_1f84_80e4,
    0xd2a8_1d91_f12a_e45b,
    0xd744_fcca_d69d_6af5,
    0xdbfb_b797_daf2_3756,
    0xe0cc_deec_2a94_e112,
    0xe5b9_06e7_7c83_48a9,
    0xeac0_c6e7_dd24_392f,
    0xefe4_b99b_dcda_f5cc,
    0xf525_7d15_2486_cc2d,
    0xfa83_b2db_722a_033b,
];

/// Bucket of a duration in microseconds: `floor(32 * log2(us))`, at most [`MAX_BUCKET`]; 0 us
/// counts as 1 us. Exact (integers only) and monotone.
#[inline]
pub fn bucket_of_us(us: u64) -> u16 {
    let us = us.max(1);
    let octave = us.ilog2();
    let mantissa = us << us.leading_zeros();
    let mut low = 0_usize;
    for step in [16, 8, 4, 2, 1] {
        if mantissa >= OCTAVE[low + step] {
            low += step;
        }
    }
    ((octave * 32) as u16 + low as u16).min(MAX_BUCKET)
}

/// First whole microsecond at or above the lower edge `2^(bucket/32)`.
pub fn bucket_lower_us(bucket: u16) -> u64 {
    edge_us(u32::from(bucket))
}

/// First whole microsecond at or above the upper edge `2^((bucket+1)/32)`: the exclusive end of
/// the bucket. Monotone. Buckets above [`MAX_BUCKET`] are treated as [`MAX_BUCKET`].
pub fn bucket_upper_us(bucket: u16) -> u64 {
    edge_us(u32::from(bucket) + 1)
}

/// `ceil(2^(index/32))`, at most `2^32`.
fn edge_us(index: u32) -> u64 {
    let index = index.min(u32::from(MAX_BUCKET) + 1);
    let shift = 63 - index / 32;
    let edge = OCTAVE[(index % 32) as usize];
    (edge >> shift) + u64::from(edge & ((1 << shift) - 1) != 0)
}

/// Middle of a bucket in milliseconds (geometric), for display.
pub fn bucket_middle_ms(bucket: u16) -> f64 {
    libm::exp2((f64::from(bucket.min(MAX_BUCKET)) + 0.5) / 32.0) / 1000.0
}

/// Whole buckets nearest to a relative change: `round(ln(1 + change) / ln g)`. 11 % is 5 buckets,
/// 25 % is 10.
pub fn buckets_of_change(change: f64) -> u16 {
    let buckets = libm::round(32.0 * libm::log2(1.0 + change));
    (buckets.max(0.0) as u16).min(MAX_BUCKET)
}
