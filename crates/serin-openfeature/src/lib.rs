//! Feature flags for Rust programs: a provider for the OpenFeature SDK (crate `open-feature`) that
//! reads a flagd document from a file and evaluates in the process. No server is asked.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = serin_openfeature::FileProvider::open("flags.json")?;
//! let mut api = open_feature::OpenFeature::singleton_mut().await;
//! api.set_provider(provider).await;
//! let on = api.create_client().get_bool_value("new_checkout", None, None).await.unwrap_or(false);
//! # Ok(()) }
//! ```
//!
//! # Invariants
//! - A file that cannot be read or is wrong never takes the last good flags away.
//! - No answer waits for more than the reading of a file that has changed.

mod convert;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use open_feature::{
    EvaluationContext, EvaluationError, EvaluationErrorCode, EvaluationResult, StructValue,
    provider::{FeatureProvider, ProviderMetadata, ResolutionDetails},
};
use serin_flags::{Bucketing, EvalError, FlagSet, Problem, Resolution};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How often an evaluation looks whether the file has changed, unless said otherwise.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why there are no flags.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file could not be read.
    #[error("cannot read the flags in {path}: {error}; check path and permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file is not a document of flags.
    #[error("the flags in {path} are refused: {}; correct the file", told(.problems))]
    Refused {
        /// The file.
        path: PathBuf,
        /// All that is wrong with it.
        problems: Vec<Problem>,
    },
}

fn told(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}

/// Flags from a file. When the file changes, they follow: once a second an evaluation looks at it.
pub struct FileProvider {
    path: PathBuf,
    bucketing: Bucketing,
    flags: ArcSwap<Loaded>,
    /// Milliseconds since 1970 when the file was last looked at.
    looked_ms: AtomicU64,
    look_every: Duration,
    metadata: ProviderMetadata,
}

struct Loaded {
    set: FlagSet,
    stamp: Option<Stamp>,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    bytes: u64,
}

impl FileProvider {
    /// Reads a file whose percentages are flagd's version 3.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        Self::open_with(path, Bucketing::default())
    }

    /// Reads a file.
    pub fn open_with(path: impl Into<PathBuf>, bucketing: Bucketing) -> Result<Self, FileError> {
        let path = path.into();
        let flags = ArcSwap::from_pointee(load(&path, bucketing)?);
        let metadata = ProviderMetadata::new("serin");
        let looked_ms = AtomicU64::new(now().as_millis() as u64);
        let look_every = LOOK_EVERY;
        Ok(Self { path, bucketing, flags, looked_ms, look_every, metadata })
    }

    /// The same, looking at the file as often as this; zero is at every evaluation.
    #[must_use]
    pub fn looking_every(mut self, interval: Duration) -> Self {
        self.look_every = interval;
        self
    }

    /// Reads the file again. If it is wrong, the flags stay as they were.
    pub fn reload(&self) -> Result<(), FileError> {
        self.flags.store(load(&self.path, self.bucketing)?.into());
        Ok(())
    }

    /// Follows the file if it has changed; one of many callers does it, once a second.
    fn follow(&self) {
        let now = now().as_millis() as u64;
        let looked = self.looked_ms.load(Ordering::Relaxed);
        let due = now.abs_diff(looked) >= self.look_every.as_millis() as u64;
        let order = Ordering::Relaxed;
        let mine = due && self.looked_ms.compare_exchange(looked, now, order, order).is_ok();
        if mine && stamp(&self.path).is_some_and(|stamp| self.flags.load().stamp != Some(stamp)) {
            // A wrong file changes nothing; `reload` says why.
            let _ = self.reload();
        }
    }

    fn resolve<T>(
        &self,
        key: &str,
        context: &EvaluationContext,
        read: fn(&Resolution<'_>) -> Result<Option<T>, EvalError>,
    ) -> EvaluationResult<ResolutionDetails<T>> {
        self.follow();
        let flags = self.flags.load();
        let context = convert::context(context);
        let found = flags.set.evaluate(key, &context, now().as_secs() as i64);
        let found = found.map_err(convert::error)?;
        let value = read(&found).map_err(convert::error)?.ok_or_else(|| no_value(&found))?;
        Ok(ResolutionDetails {
            value,
            variant: found.variant.map(str::to_owned),
            reason: Some(convert::reason(found.reason)),
            flag_metadata: Some(convert::metadata(found.metadata)),
        })
    }
}

/// A flag that is switched off or has no default leaves the value to the code. The SDK has no
/// success without a value, so the caller's own default is reached by an error.
fn no_value(found: &Resolution<'_>) -> EvaluationError {
    let message = format!("the flag leaves the value to the code ({})", found.reason);
    EvaluationError { code: EvaluationErrorCode::General(message.clone()), message: Some(message) }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok()?, bytes: metadata.len() })
}

fn load(path: &Path, bucketing: Bucketing) -> Result<Loaded, FileError> {
    // Taken before reading: a change while it is read is seen the next time.
    let stamp = stamp(path);
    let document = std::fs::read(path)
        .map_err(|error| FileError::Unreadable { path: path.to_owned(), error })?;
    let set = FlagSet::parse(&document, bucketing)
        .map_err(|problems| FileError::Refused { path: path.to_owned(), problems })?;
    Ok(Loaded { set, stamp })
}

#[async_trait]
impl FeatureProvider for FileProvider {
    fn metadata(&self) -> &ProviderMetadata {
        &self.metadata
    }

    async fn resolve_bool_value(
        &self,
        flag_key: &str,
        evaluation_context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<bool>> {
        self.resolve(flag_key, evaluation_context, convert::boolean)
    }

    async fn resolve_int_value(
        &self,
        flag_key: &str,
        evaluation_context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<i64>> {
        self.resolve(flag_key, evaluation_context, convert::integer)
    }

    async fn resolve_float_value(
        &self,
        flag_key: &str,
        evaluation_context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<f64>> {
        self.resolve(flag_key, evaluation_context, convert::float)
    }

    async fn resolve_string_value(
        &self,
        flag_key: &str,
        evaluation_context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<String>> {
        self.resolve(flag_key, evaluation_context, convert::text)
    }

    async fn resolve_struct_value(
        &self,
        flag_key: &str,
        evaluation_context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<StructValue>> {
        self.resolve(flag_key, evaluation_context, convert::structure)
    }
}
