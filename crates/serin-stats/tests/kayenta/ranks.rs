//! The shift between two samples: published vectors.

use super::*;

struct Vector {
    x: &'static [f64],
    y: &'static [f64],
    diff: f64,
    cles: f64,
    ratio: f64,
    /// Low, high, estimate at 0.95 and at 0.98.
    at_95: [f64; 3],
    at_98: [f64; 3],
}

const VECTORS: [Vector; 6] = [
    Vector {
        x: &[10.0, 20.0, 30.0, 40.0],
        y: &[1.0, 2.0, 3.0, 4.0],
        diff: 2.165_063_509_461_097,
        cles: 1.0,
        ratio: 10.0,
        at_95: [6.0, 39.0, 22.5],
        at_98: [6.0, 39.0, 22.5],
    },
    Vector {
        x: &[1.0, 2.0, 3.0, 4.0, 5.0],
        y: &[2.0, 3.0, 4.0, 5.0, 6.0],
        diff: -0.845_888_852_220_289_5,
        cles: 0.32,
        ratio: 0.75,
        at_95: [-3.999_970_296_856_297, 1.999_970_296_856_297_1, -1.0],
        at_98: [-4.999_949_750_387_06, 2.999_949_750_387_06, -1.0],
    },
    Vector {
        x: &[1.0, 1.0, 2.0, 2.0, 3.0],
        y: &[2.0, 2.0, 3.0, 3.0, 4.0],
        diff: -1.533_623_161_014_465,
        cles: 0.2,
        ratio: 0.642_857_142_857_142_9,
        at_95: [-2.000_071_717_281_904_2, 7.171_728_190_399_35e-5, -1.0],
        at_98: [-3.0, 1.0, -1.0],
    },
    Vector {
        x: &[20.0, 22.0, 21.0, 25.0, 30.0],
        y: &[1.0, 2.2, 1.1, 2.5, 3.0],
        diff: 2.506_718_245_762_048_7,
        cles: 1.0,
        ratio: 12.040_816_326_530_612,
        at_95: [17.800_043_852_158_087, 27.799_943_250_944_263, 20.0],
        at_98: [17.000_075_374_419_41, 28.999_921_735_698_56, 20.0],
    },
    Vector {
        x: &[3.1, 2.7, 4.8, 5.0, 4.4, 3.9, 6.1],
        y: &[2.0, 2.5, 3.3, 2.9, 3.0, 2.2, 4.1, 2.8],
        diff: 2.256_686_493_195_594,
        cles: 0.857_142_857_142_857_1,
        ratio: 1.503_759_398_496_240_7,
        at_95: [0.200_005_899_731_252_57, 2.599_949_227_768_868, 1.499_990_989_660_813_2],
        at_98: [-0.100_003_393_219_894_21, 2.800_018_542_831_082, 1.499_990_989_660_813_2],
    },
    Vector {
        x: &[0.0, 0.0, 0.0, 1.0, 0.0, 2.0, 0.0, 0.0],
        y: &[0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0],
        diff: 0.617_213_399_848_367_6,
        cles: 0.570_312_5,
        ratio: 3.0,
        at_95: [-7.815_038_955_323_966e-5, 0.999_995_981_158_565_4, 8.867_258_911_150_667e-5],
        at_98: [-4.475_666_812_178_721_4e-5, 1.000_025_331_764_084_6, 8.867_258_911_150_667e-5],
    },
];

#[test]
fn published_vectors() {
    for v in &VECTORS {
        let (x, y) = (sample(v.x), sample(v.y));
        near(wilcoxon_diff(0.0, 0.0, &x, &y).unwrap(), v.diff);
        near(effect::cles(&y, &x).unwrap(), v.cles);
        near(effect::mean_ratio(&y, &x).unwrap(), v.ratio);
        for (confidence, expected) in [(0.95, v.at_95), (0.98, v.at_98)] {
            let shift = shift_by_root(&x, &y, confidence).unwrap();
            for (got, expected) in [shift.low, shift.high, shift.estimate].into_iter().zip(expected)
            {
                near(got, expected);
            }
        }
    }
}

#[test]
fn selection_finds_what_the_roots_approach() {
    // The second has too few points for 98 %, the last two are full of ties.
    for v in [&VECTORS[0], &VECTORS[1], &VECTORS[3], &VECTORS[4]] {
        let exact = shift_exact(&sample(v.x), &sample(v.y), 0.95).unwrap();
        for (got, root) in [exact.low, exact.high].into_iter().zip(v.at_95) {
            assert!((got - root).abs() < 1e-4, "{got} {root}");
        }
    }
    let exact = shift_exact(&sample(VECTORS[4].x), &sample(VECTORS[4].y), 0.95).unwrap();
    near(exact.estimate, 1.5);
}

#[test]
fn the_quantile_of_98_percent() {
    assert!((normal::quantile(0.01) + 2.326_348).abs() < 1e-6);
}

#[test]
fn all_tied_or_too_few_is_an_error() {
    let (one, none) = (sample(&[1.0, 1.0]), sample(&[]));
    assert_eq!(wilcoxon_diff(0.0, 0.0, &one, &one), Err(NoShift::AllTied));
    assert_eq!(shift_by_root(&one, &sample(&[3.0]), 0.98), Err(NoShift::AllTied));
    assert_eq!(shift_by_root(&one, &none, 0.98), Err(NoShift::TooFew));
    let four = sample(&[1.0, 2.0, 3.0, 4.0]);
    assert_eq!(shift_exact(&four, &four, 0.98), Err(NoShift::TooFew));
    assert!(shift_exact(&four, &four, 0.95).is_ok());
}
