//! How an answer came about, for people.

use crate::rule::{Draw, Drawn, Method, Program, Tracer};
use serde::{Deserialize, Serialize};

/// One thing that was decided on the way to an answer, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "camelCase")]
pub enum TraceStep {
    /// A condition was looked at.
    Condition {
        /// Where it stands in the flag's rule, as a JSON pointer after references are replaced.
        place: String,
        /// Whether it counts as true.
        holds: bool,
    },
    /// Someone was put into one of several equal buckets.
    Bucket {
        /// Where the split stands in the flag's rule.
        place: String,
        /// What the bucket decides.
        draw: Draw,
        /// The hash: `v2`, `v3`, `md5-100`, `unleash` or `unleash-variant`.
        method: String,
        /// The bucket, from 0. None if the context names nobody or a weight is no number.
        bucket: Option<u32>,
        /// How many buckets there are.
        of: u32,
        /// Which of the parts holds the bucket, from 0.
        part: Option<usize>,
    },
}

/// Writes down what a rule decides.
#[derive(Debug, Default)]
pub(crate) struct Steps(pub Vec<TraceStep>);

impl Tracer for Steps {
    fn condition(&mut self, program: &Program, pc: usize, holds: bool) {
        let place = program.place(pc).to_owned();
        self.0.push(TraceStep::Condition { place, holds });
    }

    fn drawn(
        &mut self,
        program: &Program,
        pc: usize,
        draw: Draw,
        method: Method,
        drawn: Option<Drawn>,
    ) {
        self.0.push(TraceStep::Bucket {
            place: program.place(pc).to_owned(),
            draw,
            method: method.as_str().to_owned(),
            bucket: drawn.map(|drawn| drawn.bucket),
            of: drawn.map_or(0, |drawn| drawn.total),
            part: drawn.and_then(|drawn| drawn.part),
        });
    }
}
