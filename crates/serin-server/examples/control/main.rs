//! What the control plane costs, measured: `control history SERVICES ROLLOUTS FOLDER` writes a long
//! history and says what it takes on disk; `control load SERVICES ACTIVE SECONDS FOLDER` runs the
//! control loop on a platform that is made up; `control start FILE` takes such a file over. One line
//! of JSON on stdout.
#![allow(missing_docs)] // a program to measure with, not a library

mod history;
mod load;
mod made_up;
mod process;
mod world;

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = match words[..] {
        ["history", services, rollouts, folder] => {
            history::run(services.parse()?, rollouts.parse()?, Path::new(folder))?
        }
        ["load", services, active, seconds, folder] => {
            load::run(services.parse()?, active.parse()?, seconds.parse()?, Path::new(folder))?
        }
        ["start", file] => serde_json::json!({ "startMs": load::start_again(Path::new(file))? }),
        _ => {
            return Err(
                "history SERVICES ROLLOUTS FOLDER, or load SERVICES ACTIVE SECONDS FOLDER".into()
            );
        }
    };
    println!("{said}");
    Ok(())
}
