//! Against a server made for it.
