//! serin-local
