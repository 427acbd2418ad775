//! Takes flags out of the system, stage by stage; see [`super::retire`] for what a stage waits for.

use super::edit::{Refused, Who, Wish, edit};
use super::held::{Served, one_for_all};
use super::retire::{RetireStage, Retirement, STAGE, Scanned, Seen};
use super::{Act, FlagError, Flags, seconds};
use crate::control::Core;
use serin_flags::{Definition, FlagKey};
use serin_store::FlagWrite;

/// What retirements are kept as.
pub(super) const NOTE: &str = "retirement";
/// Flags that may drive the work of one in the background, at most.
const BACKGROUND_MAX: usize = 20;

/// How a flag is to be retired.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The variant that stays; the off variant unless said.
    pub(crate) keep: Option<String>,
    /// Flags that drive its work in the background.
    pub(crate) background: Vec<String>,
    /// Seconds that each stage is watched.
    pub(crate) watch_s: u32,
}

impl Flags {
    /// A flag's way out, if it is on it.
    pub(crate) fn retirement(&self, set: &str, key: &str) -> Option<&Retirement> {
        self.retiring.get(&(set.to_owned(), key.to_owned()))
    }

    /// Why the next stage of a flag's way out has to wait.
    pub(crate) fn retirement_waits(&self, set: &str, key: &str) -> Vec<String> {
        let Some(one) = self.retirement(set, key) else { return vec![] };
        let background: Vec<_> = one.background.iter().map(|key| self.seen(set, key)).collect();
        one.waits(self.seen(set, key), &background, seconds())
    }

    /// A flag that was put away is on no way any more.
    pub(super) fn forget_retirement(&mut self, set: &str, key: &FlagKey) {
        self.retiring.remove(&name(set, key));
    }

    fn seen<'a>(&'a self, set: &str, key: &'a str) -> Seen<'a> {
        let flag =
            self.sets.get(set).and_then(|set| set.definition.flags.get(key)).map(AsRef::as_ref);
        Seen { key, flag, used: self.uses.of_flag(set, key) }
    }
}

impl Core {
    /// Begins to take a flag out: users get what stays from now on.
    ///
    /// # Errors
    /// When it is on its way already, it does not fit, or it cannot be stored.
    pub(crate) fn retire(
        &mut self,
        (set, key): (&str, &FlagKey),
        plan: Plan,
        who: Who<'_>,
    ) -> Result<(), FlagError> {
        let (_, flag, _) = self.flags.flag(set, key.as_str())?;
        let flag = flag.clone();
        self.retirable((set, key), &flag, &plan)?;
        let keep = plan.keep.unwrap_or_else(|| flag.off_variant.clone());
        let (verb, next) = begun(&flag, &keep, who)?;
        let retirement = Retirement {
            keep,
            background: plan.background,
            watch_s: plan.watch_s,
            stage: RetireStage::Users,
            since: who.at,
            by: who.by.to_owned(),
            reason: who.reason.map(str::to_owned),
            passed: vec![],
            scanned: None,
        };
        let why = reason(who, "retirement began");
        let act = Act { set, key, who: Who { reason: Some(&why), ..who }, verb };
        self.change_flag_with(act, Some(next), vec![written(set, key, &retirement)?])?;
        self.flags.retiring.insert(name(set, key), retirement);
        Ok(())
    }

    /// What is written of a retirement when its flag becomes `after`.
    pub(super) fn retirement_ends(
        &self,
        act: Act<'_>,
        after: Option<&Definition>,
    ) -> Vec<FlagWrite> {
        let gone = after.is_none_or(|flag| flag.archived_at.is_some());
        let known = self.flags.retirement(act.set, act.key.as_str()).is_some();
        (gone && known).then(|| dropped(act.set, act.key)).into_iter().collect()
    }

    fn retirable(
        &self,
        (set, key): (&str, &FlagKey),
        flag: &Definition,
        plan: &Plan,
    ) -> Result<(), FlagError> {
        if self.flags.retirement(set, key.as_str()).is_some() {
            let hint = "`serin flag retire KEY` shows how far it is";
            return Err(Refused::new(format!("{key} is being retired already"), hint).into());
        }
        if let Some(keep) = plan.keep.as_ref().filter(|keep| flag.variants.get(keep).is_none()) {
            let why = format!("{key} has no variant `{keep}`");
            return Err(Refused::never(why, "`serin flag get` lists its variants").into());
        }
        if plan.background.len() > BACKGROUND_MAX {
            let why = format!("{} flags for the background", plan.background.len());
            return Err(Refused::never(why, "name at most 20").into());
        }
        for other in &plan.background {
            self.flags.flag(set, other)?;
            if other == key.as_str() {
                let why = format!("{key} cannot drive its own background work: it is off first");
                return Err(Refused::never(why, "name the flags that stop its workers").into());
            }
        }
        Ok(())
    }

    /// Goes on to the next stage.
    ///
    /// # Errors
    /// When it is not on its way, the stage has to wait, or it cannot be stored.
    pub(crate) fn retire_on(
        &mut self,
        (set, key): (&str, &FlagKey),
        who: Who<'_>,
    ) -> Result<(), FlagError> {
        let retirement = self.retirement_of(set, key)?;
        let waits = self.flags.retirement_waits(set, key.as_str());
        if !waits.is_empty() {
            let why = format!("the next stage has to wait: {}", waits.join("; "));
            return Err(Refused::new(why, "`serin flag retire KEY` shows it").into());
        }
        let Some(stage) = retirement.after() else { return self.retired((set, key), who) };
        if stage == RetireStage::Background {
            self.stop_background(set, key, &retirement, who)?;
        }
        let next = retirement.moved(stage, who.by, who.at);
        let text = format!("retirement: {}", retirement.next());
        self.note_stage((set, key), Some(next), who, &text)
    }

    fn stop_background(
        &mut self,
        set: &str,
        key: &FlagKey,
        retirement: &Retirement,
        who: Who<'_>,
    ) -> Result<(), FlagError> {
        let why = reason(who, &format!("retirement of {key}"));
        for other in &retirement.background {
            let known = self.flags.flag(set, other).ok();
            if known.is_some_and(|(_, flag, _)| flag.archived_at.is_none()) {
                self.wish_flag(set, other, &Wish::Off, Who { reason: Some(&why), ..who })?;
            }
        }
        Ok(())
    }

    /// The flag itself goes.
    fn retired(&mut self, (set, key): (&str, &FlagKey), who: Who<'_>) -> Result<(), FlagError> {
        let why = reason(who, "retired: users, background work and code are gone");
        let who = Who { reason: Some(&why), ..who };
        let (_, flag, _) = self.flags.flag(set, key.as_str())?;
        let next = edit(flag, &Wish::Archive, who)?;
        let act = Act { set, key, who, verb: Wish::Archive.verb() };
        self.change_flag(act, Some(next)).map(drop)
    }

    /// Leaves the flag as it is.
    ///
    /// # Errors
    /// When it is not on its way, or that cannot be stored.
    pub(crate) fn retire_no_more(
        &mut self,
        (set, key): (&str, &FlagKey),
        who: Who<'_>,
    ) -> Result<(), FlagError> {
        self.retirement_of(set, key)?;
        self.note_stage((set, key), None, who, "retirement was given up")
    }

    /// Remembers what somebody found in the code.
    ///
    /// # Errors
    /// When it is not on its way, or that cannot be stored.
    pub(crate) fn scanned(
        &mut self,
        (set, key): (&str, &FlagKey),
        references: u64,
        who: Who<'_>,
    ) -> Result<(), FlagError> {
        let scanned = Some(Scanned { references, at: who.at, by: who.by.to_owned() });
        let next = Retirement { scanned, ..self.retirement_of(set, key)? };
        self.executor.store_mut().commit_flags(&[written(set, key, &next)?])?;
        self.flags.retiring.insert(name(set, key), next);
        Ok(())
    }

    fn retirement_of(&self, set: &str, key: &FlagKey) -> Result<Retirement, FlagError> {
        self.flags.flag(set, key.as_str())?;
        self.flags.retirement(set, key.as_str()).cloned().ok_or_else(|| {
            let hint = "begin with `serin flag retire KEY --start`";
            Refused::new(format!("{key} is not being retired"), hint).into()
        })
    }

    /// A line of the history that changes nothing of the flag, with the stage it stands for.
    fn note_stage(
        &mut self,
        (set, key): (&str, &FlagKey),
        next: Option<Retirement>,
        who: Who<'_>,
        text: &str,
    ) -> Result<(), FlagError> {
        let (_, flag, _) = self.flags.flag(set, key.as_str())?;
        let (flag, why) = (flag.clone(), reason(who, text));
        let note = match &next {
            Some(next) => written(set, key, next)?,
            None => dropped(set, key),
        };
        let act = Act { set, key, who: Who { reason: Some(&why), ..who }, verb: STAGE };
        self.change_flag_with(act, Some(flag), vec![note])?;
        match next {
            Some(next) => self.flags.retiring.insert(name(set, key), next),
            None => self.flags.retiring.remove(&name(set, key)),
        };
        Ok(())
    }
}

/// The flag at its first stage, and the word for how it got there.
fn begun(
    flag: &Definition,
    keep: &str,
    who: Who<'_>,
) -> Result<(&'static str, Definition), Refused> {
    let given = one_for_all(flag) == Some(Served::Variant(keep));
    if given && flag.archived_at.is_none() {
        return Ok((STAGE, flag.clone()));
    }
    if keep != flag.off_variant {
        let why = format!("not everybody gets `{keep}` yet");
        return Err(Refused::new(why, "give it to everybody first: `serin flag set KEY --all`"));
    }
    Ok((Wish::Off.verb(), edit(flag, &Wish::Off, who)?))
}

fn reason(who: Who<'_>, text: &str) -> String {
    who.reason.map_or_else(|| text.to_owned(), |why| format!("{text}: {why}"))
}

fn name(set: &str, key: &FlagKey) -> (String, String) {
    (set.to_owned(), key.to_string())
}

/// A set's name has no slash.
fn id(set: &str, key: &FlagKey) -> String {
    format!("{set}/{key}")
}

fn written(set: &str, key: &FlagKey, one: &Retirement) -> Result<FlagWrite, FlagError> {
    let text = serde_json::to_string(one).map_err(serin_store::Error::from)?;
    Ok(FlagWrite::Note { kind: NOTE.into(), id: id(set, key), text })
}

fn dropped(set: &str, key: &FlagKey) -> FlagWrite {
    FlagWrite::DropNote { kind: NOTE.into(), id: id(set, key) }
}
