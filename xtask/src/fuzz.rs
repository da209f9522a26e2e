//! Cases that nobody thought of, for as long as one likes.
//!
//! Each target is a test of the library that `cargo test` runs for a moment; here it goes on. What fails is printed with
//! the seed that makes it again.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace::{call, cargo, target};

/// The targets, and the tests that they are, as cargo's filter has them.
const TARGETS: &[(&str, &str)] = &[
    ("answers", "protocol::http::h1::differential"),
    ("components", "sandbox::fuzz::components"),
    ("values", "capability::fuzz::values"),
];

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    targets: Vec<(&'a str, &'a str)>,
    seconds: u32,
    /// The one case to make again.
    seed: Option<u64>,
}

pub fn run(arguments: &[String]) -> Result<()> {
    let wanted = read(arguments)?;
    for (name, tests) in &wanted.targets {
        one(name, tests, &wanted)?;
    }
    Ok(())
}

fn one(name: &str, tests: &str, wanted: &Wanted<'_>) -> Result<()> {
    let folder = target().join("fuzz");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    let last = folder.join(format!("{name}.last"));
    let mut command = cargo();
    command.args(["test", "--locked", "--package", "squall", "--lib", tests, "--", "--nocapture"]);
    command.env("SQUALL_FUZZ_LAST", &last);
    match wanted.seed {
        Some(seed) => {
            command.env("SQUALL_FUZZ_SECONDS", "0").env("SQUALL_FUZZ_CASES", "1");
            command.env("SQUALL_FUZZ_SEED", seed.to_string());
        }
        None => {
            command.env("SQUALL_FUZZ_SECONDS", wanted.seconds.to_string());
        }
    }
    call(&mut command).with_context(|| match fs::read_to_string(&last) {
        Ok(case) => format!("the last case was `{case}`: `cargo xtask fuzz {name} --seed SEED` makes it again"),
        Err(_) => format!("`{name}` failed"),
    })
}

fn read(arguments: &[String]) -> Result<Wanted<'static>> {
    let mut wanted = Wanted { targets: Vec::new(), seconds: 60, seed: None };
    let mut left = arguments.iter();
    while let Some(argument) = left.next() {
        let mut number = || -> Result<u64> {
            let value = left.next().with_context(|| format!("`{argument}` needs a number"))?;
            value.parse().with_context(|| format!("`{value}` is not a number"))
        };
        match argument.as_str() {
            "--seconds" => wanted.seconds = u32::try_from(number()?).context("that is more than a century")?,
            "--seed" => wanted.seed = Some(number()?),
            name => {
                let Some(target) = TARGETS.iter().find(|(known, _)| *known == name) else {
                    let known: Vec<_> = TARGETS.iter().map(|(known, _)| *known).collect();
                    bail!("there is no target `{name}`\n  hint: the targets are `{}`", known.join("`, `"));
                };
                wanted.targets.push(*target);
            }
        }
    }
    if wanted.targets.is_empty() {
        wanted.targets = TARGETS.to_vec();
    }
    // proptest keeps its own seeds.
    let seeded = |(name, _): &(&str, &str)| *name != "answers";
    if wanted.seed.is_some() && !(wanted.targets.len() == 1 && wanted.targets.iter().all(seeded)) {
        bail!("`--seed` makes one case again\n  hint: name its target, `components` or `values`");
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(words: &str) -> Result<Wanted<'static>> {
        read(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn every_target_has_a_minute_or_what_is_asked_for() {
        let wanted = given("").unwrap();
        assert_eq!((wanted.targets.len(), wanted.seconds, wanted.seed), (3, 60, None));
        let wanted = given("values --seconds 300").unwrap();
        assert_eq!((wanted.targets, wanted.seconds), (vec![TARGETS[2]], 300));
        for wrong in ["--seconds x", "--seconds", "300", "value", "--seconds 99999999999"] {
            assert!(given(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_seed_is_of_one_target() {
        assert_eq!(given("components --seed 7").unwrap().seed, Some(7));
        for wrong in ["--seed 7", "components values --seed 7", "answers --seed 7"] {
            assert!(given(wrong).is_err(), "{wrong}");
        }
    }
}
