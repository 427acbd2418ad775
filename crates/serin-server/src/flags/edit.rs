//! What people ask of a flag, as a change of its definition. Pure: time is a parameter.

use super::strategy::{self, Strategy};
use serde::{Deserialize, Serialize};
use serin_flags::{Definition, Killed, State, Timestamp};

/// One wish about a flag that is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Wish {
    /// Its rules decide again. Of a flag that was neither killed nor off and has no rules:
    /// everybody gets it.
    On,
    /// Everybody gets the off variant.
    Off,
    /// Everybody gets what the app's code says.
    Disable,
    /// Everybody gets the off variant, whatever else is written, until somebody says `on`.
    Kill,
    /// Who gets it.
    Strategy(Strategy),
    /// It is not served any more.
    Archive,
    /// It is served again.
    Unarchive,
    /// Nobody gets it before this code serves everything.
    Requires {
        /// The service whose code it needs.
        service: String,
        /// The lowest version that has the code.
        version: String,
    },
}

impl Wish {
    /// Whether somebody may get the flag by it who did not before.
    pub fn gives(&self) -> bool {
        match self {
            Self::On | Self::Unarchive => true,
            Self::Strategy(strategy) => *strategy != Strategy::None,
            _ => false,
        }
    }

    /// Its word in the history.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Disable => "disable",
            Self::Kill => "kill",
            Self::Strategy(_) => "set",
            Self::Archive => "archive",
            Self::Unarchive => "unarchive",
            Self::Requires { .. } => "require",
        }
    }
}

/// Why a wish was refused: what is so, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What is so.
    pub why: String,
    /// What to do.
    pub hint: String,
    /// Whether it could never be, whatever the flag is.
    pub never: bool,
}

impl Refused {
    /// A wish that can never be.
    pub fn never(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { never: true, ..Self::new(why, hint) }
    }

    /// A refusal.
    pub fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why: why.into(), hint: hint.into(), never: false }
    }
}

/// Who wishes, why, and when.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// Their name.
    pub by: &'a str,
    /// Why.
    pub reason: Option<&'a str>,
    /// When.
    pub at: Timestamp,
}

/// The flag after the wish.
///
/// # Errors
/// When the wish does not fit what the flag is.
pub fn edit(flag: &Definition, wish: &Wish, who: Who<'_>) -> Result<Definition, Refused> {
    let mut next = flag.clone();
    let archived = flag.archived_at.is_some();
    match wish {
        Wish::Unarchive => next.archived_at = None,
        _ if archived => {
            let hint = "take it back first: `serin flag archive KEY --undo`";
            return Err(Refused::new("the flag is archived", hint));
        }
        Wish::On => on(&mut next),
        Wish::Off => next.state = State::Off,
        Wish::Disable => next.state = State::Disabled,
        Wish::Kill => next.killed = Some(killed(flag, who)?),
        Wish::Strategy(strategy) => strategy::apply(&mut next, strategy)?,
        Wish::Archive => next.archived_at = Some(who.at),
        Wish::Requires { service, version } => {
            next.requires = Some(serin_flags::CodeVersion {
                service: service.clone(),
                version: version.clone(),
            });
        }
    }
    Ok(next)
}

fn on(flag: &mut Definition) {
    let was_away = flag.killed.take().is_some() || flag.state != State::On;
    flag.state = State::On;
    if !was_away && strategy::has_no_rules(flag) {
        flag.default_variant = strategy::on_variant(flag).map(str::to_owned);
    }
}

/// A flag that is killed already stays killed by whoever was first.
fn killed(flag: &Definition, who: Who<'_>) -> Result<Killed, Refused> {
    if let Some(killed) = &flag.killed {
        return Ok(killed.clone());
    }
    let reason = who.reason.map(str::trim).filter(|reason| !reason.is_empty());
    let reason = reason.ok_or_else(|| {
        Refused::new("a kill needs a reason", "say why: `--reason \"errors at checkout\"`")
    })?;
    Ok(Killed { by: who.by.to_owned(), at: who.at, reason: reason.to_owned() })
}

/// What a flag looks like that is made like an earlier state of it: all of it, but a kill is never
/// taken back by the way.
pub fn restored(now: Option<&Definition>, then: &Definition) -> Definition {
    let killed = now.and_then(|now| now.killed.clone());
    Definition { killed, ..then.clone() }
}

/// What is written over a flag leaves its release alone, which only the engine moves; a flag that is
/// new has none. While one is under way nobody else says who gets what: its evidence would be of
/// something else.
///
/// # Errors
/// When it would change who gets what meanwhile.
pub fn beside_release(before: Option<&Definition>, next: &mut Definition) -> Result<(), Refused> {
    next.release = before.and_then(|before| before.release.clone());
    next.carried_by = before.and_then(|before| before.carried_by.clone());
    let Some(before) = before.filter(|before| before.release.is_some()) else { return Ok(()) };
    if served(before) == served(next) {
        return Ok(());
    }
    let hint = "end it first: `serin abort flag:SET:KEY`, or `serin promote` it; `serin flag off` \
                and `kill` work at once";
    Err(Refused::new("a guarded release of it is under way, and decides who gets what", hint))
}

/// Of a flag, what decides who gets what beside its release. Switching it off ends a release.
fn served(flag: &Definition) -> Definition {
    Definition {
        description: String::new(),
        owner: String::new(),
        tags: vec![],
        created_at: None,
        expires_at: None,
        archived_at: None,
        killed: None,
        state: State::On,
        requires: None,
        code_default: None,
        approval: None,
        ..flag.clone()
    }
}

/// What a new flag must say about itself.
///
/// # Errors
/// When nobody owns it, or it is for a time and has no end.
pub fn admitted(flag: &Definition) -> Result<(), Refused> {
    if flag.owner.trim().is_empty() {
        return Err(Refused::new(
            "a new flag needs an owner: somebody has to remove it one day",
            "say who answers for it: `--owner TEAM`",
        ));
    }
    if flag.kind.lifetime_days().is_some() && flag.expires_at.is_none() {
        return Err(Refused::new(
            "a release or experiment flag needs an end: it is for a time",
            "say until when: `--expires 40d` or `--expires 2027-01-31`, or make it `--kind ops`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_flags::Kind;

    const WHO: Who<'static> = Who { by: "ada", reason: Some("errors"), at: Timestamp(7) };

    fn flag() -> Definition {
        Definition::boolean(Kind::Release, "shop")
    }

    fn after(flag: &Definition, wishes: &[Wish]) -> Definition {
        wishes.iter().fold(flag.clone(), |flag, wish| edit(&flag, wish, WHO).unwrap())
    }

    fn percent(value: f64) -> Wish {
        Wish::Strategy(Strategy::Percentage(value))
    }

    #[test]
    fn on_after_a_kill_is_what_was_before() {
        let five = after(&flag(), &[percent(5.0)]);
        let killed = after(&five, &[Wish::Kill]);
        assert_eq!(killed.killed.as_ref().map(|k| k.reason.as_str()), Some("errors"));
        assert_eq!(after(&killed, &[Wish::On]), five);
        assert_eq!(after(&five, &[Wish::Off, Wish::On]), five);
    }

    #[test]
    fn on_gives_a_plain_flag_to_everybody_but_not_by_the_way() {
        let on = after(&flag(), &[Wish::On]);
        assert_eq!(on.default_variant.as_deref(), Some("on"));
        let back = after(&flag(), &[Wish::Kill, Wish::On]);
        assert_eq!(back, flag());
        assert_eq!(after(&on, &[Wish::Off, Wish::On]), on);
    }

    #[test]
    fn the_first_kill_stays_and_needs_a_reason() {
        let killed = after(&flag(), &[Wish::Kill]);
        let again = edit(&killed, &Wish::Kill, Who { by: "bob", reason: None, ..WHO }).unwrap();
        assert_eq!(again, killed);
        for reason in [None, Some("  ")] {
            assert!(edit(&flag(), &Wish::Kill, Who { reason, ..WHO }).is_err());
        }
    }

    #[test]
    fn an_archived_flag_takes_no_wish_but_to_come_back() {
        let away = after(&flag(), &[Wish::Archive]);
        for wish in [Wish::On, Wish::Off, percent(1.0), Wish::Archive] {
            assert!(edit(&away, &wish, WHO).is_err(), "{wish:?}");
        }
        assert_eq!(after(&away, &[Wish::Unarchive]), flag());
    }

    #[test]
    fn an_earlier_state_does_not_take_a_kill_back() {
        let killed = after(&flag(), &[Wish::Kill]);
        let then = after(&flag(), &[percent(50.0)]);
        let now = restored(Some(&killed), &then);
        assert_eq!((now.killed.is_some(), &now.rules), (true, &then.rules));
        assert_eq!(restored(None, &killed).killed, None);
    }

    #[test]
    fn nobody_but_the_engine_moves_a_release() {
        let release = |exposure| {
            let made = serin_flags::Release::new("a", "on", "off");
            Some(serin_flags::Release { exposure, generation: "3.4".into(), ..made })
        };
        let (at_ten, by_hand) = (release(20_000), release(100_000));
        let carried_by = Some("shop".to_owned());
        let under_way = Definition { release: at_ten.clone(), carried_by, ..flag() };
        for sent in [None, by_hand.clone()] {
            let said = Definition { release: sent, description: "new".into(), ..flag() };
            let mut next = said.clone();
            beside_release(Some(&under_way), &mut next).unwrap();
            assert_eq!((&next.release, next.description.as_str()), (&at_ten, "new"));
            assert_eq!(next.carried_by.as_deref(), Some("shop"));
            let mut next = Definition { state: State::Off, ..said.clone() };
            beside_release(Some(&under_way), &mut next).unwrap();
            let mut new = said.clone();
            beside_release(None, &mut new).unwrap();
            assert_eq!(new.release, None, "a new flag has none");
            let mut over = said;
            beside_release(Some(&flag()), &mut over).unwrap();
            assert_eq!(over.release, None, "nor has one whose release is over");
        }
        for mut next in [
            after(&flag(), &[Wish::On]),
            after(&flag(), &[percent(5.0)]),
            after(&flag(), &[Wish::Strategy(Strategy::UserList(vec!["u".into()]))]),
            Definition { salt: Some("b".into()), ..flag() },
        ] {
            assert!(beside_release(Some(&under_way), &mut next).is_err(), "{next:?}");
            assert!(beside_release(Some(&flag()), &mut next).is_ok());
        }
    }

    #[test]
    fn a_flag_for_a_time_needs_owner_and_end() {
        let mut flag = flag();
        assert!(admitted(&flag).unwrap_err().hint.contains("--expires"));
        flag.expires_at = Some(Timestamp(1));
        assert!(admitted(&flag).is_ok());
        flag.owner = " ".into();
        assert!(admitted(&flag).unwrap_err().hint.contains("--owner"));
        assert!(admitted(&Definition::boolean(Kind::Ops, "sre")).is_ok());
    }
}
