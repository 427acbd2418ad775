//! Who may ask for values. A token is shown once, when it is made; its hash alone is kept.

use super::push::Tell;
use super::{FlagError, Refused, Who, seconds};
use crate::control::Core;
use serde::{Deserialize, Serialize};
use serin_edge::{Token, TokenKind};
use serin_flags::Timestamp;
use serin_store::FlagWrite;
use std::fmt::Write as _;
use std::io::Read as _;

/// Tokens, at most.
const MOST: usize = 1_000;

/// A token as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptToken {
    /// What the edge knows of it.
    pub(crate) token: Token,
    /// When it was made.
    pub(crate) at: Timestamp,
    /// By whom.
    pub(crate) by: String,
}

impl Core {
    /// Makes a token; the secret is in the answer and nowhere else. With the first one, clients
    /// without a token are refused from now on.
    ///
    /// # Errors
    /// When there is one of this name, the set is not there, or it cannot be stored.
    pub(crate) fn create_token(
        &mut self,
        name: &str,
        set: Option<&str>,
        kind: TokenKind,
        who: Who<'_>,
    ) -> Result<String, FlagError> {
        let tokens = &self.flags.tokens;
        if tokens.values().any(|kept| kept.token.name == name) || tokens.len() >= MOST {
            let why = format!("there is a token `{name}` already, or there are {MOST}");
            return Err(Refused::new(why, "choose another name, or take one away").into());
        }
        set.map(|set| self.flags.set(set).map(drop)).transpose()?;
        let secret = format!("*:{}.{}", set.unwrap_or("*"), random()?);
        let token = Token::of(name, &secret, kind);
        let kept = KeptToken { token, at: seconds(), by: who.by.to_owned() };
        let text = serde_json::to_string(&kept).map_err(serin_store::Error::from)?;
        let hash = kept.token.sha256.clone();
        self.executor.store_mut().commit_flags(&[FlagWrite::Token { hash: hash.clone(), text }])?;
        self.flags.tokens.insert(hash, kept);
        self.tokens_changed();
        Ok(secret)
    }

    /// Takes a token away; whoever shows it is refused from now on.
    ///
    /// # Errors
    /// When there is none of this name, or that cannot be stored.
    pub(crate) fn drop_token(&mut self, name: &str) -> Result<(), FlagError> {
        let found = self.flags.tokens.iter().find(|(_, kept)| kept.token.name == name);
        let Some(hash) = found.map(|(hash, _)| hash.clone()) else {
            let hint = "`serin flag token` lists them";
            return Err(Refused::new(format!("there is no token `{name}`"), hint).into());
        };
        self.executor.store_mut().commit_flags(&[FlagWrite::DropToken { hash: hash.clone() }])?;
        self.flags.tokens.remove(&hash);
        self.tokens_changed();
        Ok(())
    }

    fn tokens_changed(&mut self) {
        // A table of its own number: the data plane takes only what is newer.
        self.flags.n += 1;
        self.flags.tell(Tell::All);
    }
}

/// 32 random bytes in hexadecimal.
fn random() -> Result<String, FlagError> {
    let mut bytes = [0; 32];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| FlagError::Unreadable(format!("no random number can be made: {error}")))?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
