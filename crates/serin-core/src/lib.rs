//! serin-core
