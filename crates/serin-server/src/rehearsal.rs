//! The control loop on a platform that is made up, to measure what the loop itself costs.

pub use crate::control::{Counting, Platform};
pub use serin_local::Report;

use crate::control::{self, Question};
use crate::executor::Error;
use crate::flags::FlagsListen;
use serin_core::{Event, ServiceName};
use serin_store::{Ballast, Store};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// A control loop that runs.
pub struct Rehearsal {
    questions: mpsc::Sender<Question>,
}

/// Takes over `store` and runs the control loop of the product on `platform`. Needs a tokio
/// runtime.
///
/// # Errors
/// When the store cannot be taken over.
pub fn start(
    store: Store,
    data: PathBuf,
    platform: Arc<dyn Platform>,
    reports: mpsc::Receiver<Report>,
) -> Result<Rehearsal, Error> {
    let ballast = Ballast::new(data.join("ballast"));
    let (questions, _) = control::begin(
        control::open(store, ballast, FlagsListen::default())?,
        data,
        platform,
        reports,
    );
    Ok(Rehearsal { questions })
}

impl Rehearsal {
    /// Submits what somebody asked, as the API does; `None` when the loop has ended.
    pub async fn submit(&self, service: ServiceName, event: Event) -> Option<Result<(), Error>> {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |core| {
            let _ = reply.send(core.submit(&service, &event));
        });
        self.questions.send(question).await.ok()?;
        answer.await.ok()
    }
}
