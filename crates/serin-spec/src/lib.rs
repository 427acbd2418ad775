//! serin-spec
