//! serin-keeper
