//! The words of `serin token`.

use clap::Args;

#[derive(Debug, Args)]
#[command(
    after_help = "Whatever is asked with somebody's token is done in their name: approvals, and what\nhistory says. The token in the server's data directory, and its socket, are the owner's.\n\nExample:\n  serin token --create ada"
)]
pub struct TokenArgs {
    /// Make one for somebody; it is printed this once
    #[arg(long, value_name = "NAME", conflicts_with = "revoke")]
    pub create: Option<String>,
    /// Take somebody's away
    #[arg(long, value_name = "NAME")]
    pub revoke: Option<String>,
}
