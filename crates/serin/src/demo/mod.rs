//! `serin demo`: two versions of a small shop, real processes and real traffic; one of them is bad.

mod app;
mod load;

use std::process::ExitCode;

/// The demo's web app, `serin __demo-app`.
pub fn app_main() -> ExitCode {
    app::main()
}
