//! `cargo xtask hostile`: every hostile guest alone beside a user that behaves, and the table of what became of them.
//!
//! The test `hostile_guests::table` does the work; this writes what it found into `docs/security.md`.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace::{call, cargo, root, target};

/// The test, as cargo's filter has it.
const TEST: &str = "hostile_guests::table";
const DOCUMENT: &str = "docs/security.md";
const BEGIN: &str = "<!-- hostile guests: begin (made by `cargo xtask hostile`) -->\n";
const END: &str = "<!-- hostile guests: end -->\n";

pub fn run(arguments: &[String]) -> Result<()> {
    let release = match arguments {
        [] => false,
        [flag] if flag == "--release" => true,
        other => bail!("unexpected arguments `{}`; try `cargo xtask hostile --release`", other.join(" ")),
    };
    let folder = target().join("xtask");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    let file = folder.join("hostile.md");
    let mut command = cargo();
    command.args(["test", "--package", "squall", "--test", "e2e"]);
    if release {
        command.arg("--release");
    }
    command.args([TEST, "--", "--nocapture"]);
    call(command.env("SQUALL_HOSTILE_TABLE", &file))?;
    let table = fs::read_to_string(&file).with_context(|| format!("`{}` was not written", file.display()))?;
    print!("{table}");
    let document = root().join(DOCUMENT);
    let text = fs::read_to_string(&document).with_context(|| format!("`{DOCUMENT}` cannot be read"))?;
    fs::write(&document, put(&text, &table)?).with_context(|| format!("`{DOCUMENT}` cannot be written"))?;
    println!("the table is in {DOCUMENT}");
    Ok(())
}

/// Puts the table between its marks.
fn put(text: &str, table: &str) -> Result<String> {
    let (before, rest) = text.split_once(BEGIN).with_context(|| format!("`{DOCUMENT}` has no mark for the table"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("`{DOCUMENT}` has no mark for the table's end"))?;
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_goes_between_its_marks_and_takes_the_place_of_the_last() {
        let text = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(put(&text, "new\n").unwrap(), format!("a\n{BEGIN}new\n{END}b\n"));
        assert!(put("a\n", "new\n").is_err());
    }
}
