//! serin-store
