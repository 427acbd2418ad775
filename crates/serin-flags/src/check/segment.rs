//! A group of users.

use super::{Check, limit};
use crate::Segment;

impl Check<'_> {
    pub(super) fn segment(&mut self, name: &str, segment: &Segment) {
        let place = format!("segments.{}", super::plain(name));
        self.name(&place, name);
        self.short(&format!("{place}.description"), &segment.description, limit::TEXT);
        self.users(&format!("{place}.users"), &segment.users);
        self.users(&format!("{place}.excluded"), &segment.excluded);
        self.segments(&format!("{place}.segments"), &segment.segments);
        self.at_most(&format!("{place}.any"), segment.any.len(), limit::ITEMS);
        for (at, clauses) in segment.any.iter().enumerate() {
            self.clauses(&format!("{place}.any[{at}]"), clauses);
        }
    }
}
