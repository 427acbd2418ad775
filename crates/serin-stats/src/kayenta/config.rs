//! What is judged and how strictly.

use super::sample::NanStrategy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Whose rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Compat {
    /// Those of `NetflixACAJudge-v1.0`, with what is odd about them.
    Kayenta,
    /// Those with the repairs listed in the [module](crate::kayenta).
    Improved,
}

/// Which changes of a metric count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// Only a rise.
    Increase,
    /// Only a fall.
    Decrease,
    /// Both.
    #[default]
    Either,
}

/// How the size of a difference is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Measure {
    /// Mean of the experiment over mean of the control; no difference is 1.
    #[default]
    MeanRatio,
    /// Share of pairs in which the experiment is higher; no difference is 0.5.
    Cles,
}

impl Measure {
    /// The value that means no difference.
    pub fn neutral(self) -> f64 {
        match self {
            Self::MeanRatio => 1.0,
            Self::Cles => 0.5,
        }
    }
}

/// How large a significant difference must be to matter, in the unit of the measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct EffectSize {
    /// The measure.
    pub measure: Measure,
    /// A rise matters from here on.
    pub allowed_increase: Option<f64>,
    /// A fall matters down from here.
    pub allowed_decrease: Option<f64>,
    /// A rise of a critical metric fails the whole canary from here on.
    pub critical_increase: Option<f64>,
    /// A fall of a critical metric fails the whole canary down from here.
    pub critical_decrease: Option<f64>,
}

/// How one metric is judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricConfig {
    /// Its name, for the report.
    pub name: String,
    /// The groups it is counted in; once in each.
    pub groups: Vec<String>,
    /// Which changes count.
    pub direction: Direction,
    /// What to do with points that are no number.
    pub nan_strategy: NanStrategy,
    /// Remove outliers beyond this many interquartile ranges (3 is usual). None keeps all.
    pub outlier_factor: Option<f64>,
    /// A failure or missing data of this metric fails the whole canary.
    pub critical: bool,
    /// Missing data counts as a failed metric.
    pub must_have_data: bool,
    /// Reported, but not scored.
    pub muted: bool,
    /// How large a difference must be.
    pub effect_size: EffectSize,
}

/// How metrics are classified and scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JudgeConfig {
    /// Whose rules hold.
    pub compat: Compat,
    /// Kayenta: how wide the interval may be, as a share of the estimated shift. Improved: the
    /// smallest shift that matters, as a share of the control's median.
    pub tolerance: f64,
    /// Confidence of the interval of the shift.
    pub confidence: f64,
    /// Scores from here on pass, in (0, 100].
    pub pass: f64,
    /// Scores from here on are marginal, in (0, pass].
    pub marginal: f64,
    /// Percentage that each group counts for. Groups that are not listed share the rest.
    #[serde(default)]
    pub group_weights: BTreeMap<String, f64>,
}

impl JudgeConfig {
    /// Kayenta's own constants: tolerance 0.25, confidence 0.98.
    pub fn kayenta(pass: f64, marginal: f64) -> Self {
        let group_weights = BTreeMap::new();
        let (compat, tolerance, confidence) = (Compat::Kayenta, 0.25, 0.98);
        Self { compat, tolerance, confidence, pass, marginal, group_weights }
    }

    /// The repaired rules: a shift matters from a tenth of the control's median, confidence 0.98.
    pub fn improved(pass: f64, marginal: f64) -> Self {
        Self { compat: Compat::Improved, tolerance: 0.1, ..Self::kayenta(pass, marginal) }
    }

    /// Checks all numbers. Thresholds of 0 are refused: no data scores 0 and must not pass.
    ///
    /// # Errors
    /// The first that is out of its range.
    pub fn check(&self) -> Result<(), Invalid> {
        let in_range =
            |name, value: f64, ok, allowed| Invalid::check("judge", name, value, ok, allowed);
        let (confidence, pass, marginal) = (self.confidence, self.pass, self.marginal);
        in_range("tolerance", self.tolerance, (0.0..=1e6).contains(&self.tolerance), "0 to 1e6")?;
        in_range("confidence", confidence, (0.5..=0.9999).contains(&confidence), "0.5 to 0.9999")?;
        in_range("pass", pass, pass > 0.0 && pass <= 100.0, "above 0, at most 100")?;
        in_range(
            "marginal",
            marginal,
            marginal > 0.0 && marginal <= pass,
            "above 0, at most pass",
        )?;
        for (group, weight) in &self.group_weights {
            Invalid::check(group, "weight", *weight, (0.0..=100.0).contains(weight), "0 to 100")?;
        }
        let sum: f64 = self.group_weights.values().sum();
        in_range("sum of weights", sum, sum <= 100.0 + 1e-6, "at most 100")
    }
}

impl MetricConfig {
    /// Checks all numbers.
    ///
    /// # Errors
    /// The first that is out of its range.
    pub fn check(&self) -> Result<(), Invalid> {
        let e = &self.effect_size;
        let numbers = [
            ("outlierFactor", self.outlier_factor),
            ("allowedIncrease", e.allowed_increase),
            ("allowedDecrease", e.allowed_decrease),
            ("criticalIncrease", e.critical_increase),
            ("criticalDecrease", e.critical_decrease),
        ];
        for (name, value) in numbers.into_iter().filter_map(|(n, v)| v.map(|v| (n, v))) {
            let ok = value > 0.0 && value <= 1e6 || value == 0.0 && name != "outlierFactor";
            Invalid::check(&self.name, name, value, ok, "above 0, at most 1e6")?;
        }
        Ok(())
    }
}

/// A setting out of its range.
#[derive(Clone, Debug, PartialEq)]
pub struct Invalid {
    /// The metric, the group, or `judge`.
    pub of: String,
    /// The setting.
    pub name: &'static str,
    /// What it was.
    pub value: f64,
    /// What it may be.
    pub allowed: &'static str,
}

impl Invalid {
    fn check(
        of: &str,
        name: &'static str,
        value: f64,
        ok: bool,
        allowed: &'static str,
    ) -> Result<(), Self> {
        if ok { Ok(()) } else { Err(Self { of: of.to_owned(), name, value, allowed }) }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, name, value, allowed } = self;
        write!(f, "{of}: {name} is {value}, allowed is {allowed}")
    }
}

impl std::error::Error for Invalid {}
