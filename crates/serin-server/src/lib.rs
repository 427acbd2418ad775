//! serin-server
