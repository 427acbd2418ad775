//! `serin token`: people who use a server over the network, each with a token of their own.

use crate::cli::TokenArgs;
use crate::client::escaped;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Tone};
use http::Method;
use serde_json::json;
use serin_server::api::view::{ApiTokens, TokenWish};

const PATH: &str = "/api/v1/tokens";

/// `serin token`.
pub async fn token(context: &Context<'_>, args: TokenArgs) -> Result<Exit, Failure> {
    let document = match (args.create, &args.revoke) {
        (Some(name), _) => context.client.submit(PATH, &TokenWish { name }).await?,
        (_, Some(name)) => {
            let path = format!("{PATH}/{}", escaped(name));
            context.client.send(Method::DELETE, &path, &json!({}), None).await?
        }
        _ => context.client.document(PATH).await?,
    };
    if context.printer.is_json() {
        context.printer.pass(&document);
        return Ok(Exit::Reached);
    }
    let found: ApiTokens = document.read()?;
    if let Some(secret) = &found.secret {
        context.printer.data_text(secret);
        let text = "this is shown once; its owner sets it as SERIN_TOKEN";
        context.printer.note(&Line::plain(text));
        return Ok(Exit::Reached);
    }
    for token in &found.tokens {
        context.printer.data(&Line::toned(Tone::Bold, &token.name));
    }
    if found.tokens.is_empty() {
        let text = "nobody has a token of their own: over the network the server's opens all";
        context.printer.data(&Line::toned(Tone::Dim, text));
    }
    Ok(Exit::Reached)
}
