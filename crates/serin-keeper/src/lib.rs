//! The keeper: parent of the control plane, the data plane and every app instance.
pub mod protocol;
