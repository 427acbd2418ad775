//! serin-stats
