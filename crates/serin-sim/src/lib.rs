//! serin-sim
