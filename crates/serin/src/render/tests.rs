//! Views made by hand, as they are shown.
