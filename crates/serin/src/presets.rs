//! `serin presets`: schedules with a name, written out.

use crate::cli::PresetsArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::misuse::nearest;
use crate::printer::{Channel, Printer};
use crate::render::{self, Frame};
use serde::Serialize;
use serin_spec::{Preset, presets};

#[derive(Serialize)]
struct PresetsDocument {
    schema: &'static str,
    presets: Vec<PresetDocument>,
}

#[derive(Serialize)]
struct PresetDocument {
    name: &'static str,
    meaning: &'static str,
    /// What stands under `strategy`, as YAML.
    text: String,
}

/// `serin presets [NAME]`.
pub fn show(printer: &Printer, args: &PresetsArgs) -> Result<Exit, Failure> {
    let chosen: Vec<&Preset> = match &args.name {
        Some(name) => vec![find(name)?],
        None => presets().iter().collect(),
    };
    if printer.is_json() {
        let document = |preset: &&Preset| PresetDocument {
            name: preset.name,
            meaning: preset.meaning,
            text: preset.text(),
        };
        let presets = chosen.iter().map(document).collect();
        printer.document(&PresetsDocument { schema: "serin.presets/v1", presets });
    } else if args.name.is_some() {
        for preset in chosen {
            printer.data_text(&written(preset));
        }
    } else {
        for line in render::presets(&chosen, &Frame::of(printer, Channel::Out)) {
            printer.data(&line);
        }
    }
    Ok(Exit::Reached)
}

/// As it would stand in a file.
fn written(preset: &Preset) -> String {
    let lines = preset.text().lines().map(|line| format!("  {line}\n")).collect::<Vec<_>>();
    format!(
        "# {}; the same as `strategy: {}`\nstrategy:\n{}",
        preset.meaning,
        preset.name,
        lines.concat()
    )
}

fn find(name: &str) -> Result<&'static Preset, Failure> {
    let found = presets().iter().find(|preset| preset.name == name);
    found.ok_or_else(|| {
        let names: Vec<_> = presets().iter().map(|preset| preset.name).collect();
        let hint = match nearest(name, &names) {
            Some(near) => format!("did you mean `{near}`? `serin presets` lists them"),
            None => "`serin presets` lists them".into(),
        };
        Failure::usage("unknown-preset", format!("there is no preset `{name}`")).hint(hint)
    })
}
