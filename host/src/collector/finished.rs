//! After the run: the journey's own summary, or ours.

use std::fs;
use std::io::{self, Write};
use std::mem;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::audience::Audience;
use crate::output::{Event, Folder, OutputError, plain};
use crate::verdict::{Report, Warning};
use crate::vu::{Context, Notice, NoticeLevel};

/// What is left when a collector has ended.
pub struct Finished {
    /// The report.
    pub report: Report,
    audience: Audience,
    notices: Receiver<Notice>,
    context: Arc<Context>,
}

impl Finished {
    pub(super) fn new(report: Report, audience: Audience, notices: Receiver<Notice>, context: Arc<Context>) -> Self {
        Self { report, audience, notices, context }
    }

    /// Writes the named texts of the journey's own summary, or, when there are none, lets the outputs print theirs.
    ///
    /// A name is `stdout`, `stderr` or a relative path of a file in the working directory or below.
    #[must_use]
    pub fn complete(mut self, texts: Vec<(String, String)>) -> Report {
        let mut folder = Folder::default();
        tell_notices(&mut self.audience, &self.notices, &mut folder);
        for (notice, repeated) in folder.drain() {
            self.audience.tell(&Event::Notice(&notice, repeated));
        }
        let redacted = |text| self.context.redacted(text);
        let texts: Vec<_> = texts.into_iter().map(|(name, text)| (redacted(name), redacted(text))).collect();
        // What the journey wished for while it made its summary counts as well.
        self.report.journey_failed = self.context.control.failed();
        if let dropped @ 1.. = self.context.dropped_logs() {
            let message = format!("{dropped} messages of the journey were dropped: it logs more than it may");
            let hint =
                Some("log less, or raise `limits.logBytes`, the bytes per second of all VUs together".to_owned());
            self.report.warnings.push(Warning { message, hint });
        }
        if let lost @ 1.. = self.context.lost_notices() {
            let message = format!("{lost} messages of the journey were not shown: there were too many at once");
            self.report.warnings.push(Warning { message, hint: None });
        }
        for Warning { message, hint } in &mut self.report.warnings {
            *message = self.context.redacted(mem::take(message));
            *hint = hint.take().map(|hint| self.context.redacted(hint));
        }
        conclude(self.audience, self.report, texts)
    }
}

/// Tells the outputs of the end, and writes the texts of the journey's own summary.
pub(super) fn conclude(mut audience: Audience, mut report: Report, texts: Vec<(String, String)>) -> Report {
    let is_replaced = !texts.is_empty();
    report.output_errors = audience.errors().to_vec();
    audience.finish(&report, is_replaced);
    for (name, text) in audience.take_texts(texts) {
        if let Err(error) = write(&name, &text) {
            audience.fail(error.full());
        }
    }
    report.output_errors = audience.errors().to_vec();
    report
}

/// What is shown of the summary that a journey made which is not trusted: no file of it is written, and on the terminal it
/// is no more than text.
#[must_use]
pub fn harmless(texts: Vec<(String, String)>, warnings: &mut Vec<Warning>) -> Vec<(String, String)> {
    let (shown, files): (Vec<_>, Vec<_>) =
        texts.into_iter().partition(|(name, _)| matches!(name.as_str(), "stdout" | "stderr"));
    if let Some((name, _)) = files.first() {
        let message = format!("{} files of the journey's summary were not written, first `{name}`", files.len());
        let hint = Some("a journey that is not trusted writes no files; use `--summary-export`".to_owned());
        warnings.push(Warning { message: message.chars().take(300).collect(), hint });
    }
    shown.into_iter().map(|(name, text)| (name, plain::page(&text).into_owned())).collect()
}

impl std::fmt::Debug for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Finished").field("report", &self.report).finish_non_exhaustive()
    }
}

/// Passes on the messages that wait, but for failures that say nothing new.
pub(super) fn tell_notices(audience: &mut Audience, notices: &Receiver<Notice>, folder: &mut Folder) {
    for mut notice in notices.try_iter() {
        if folder.is_shown(&notice) {
            if let Some(detail) = notice.detail.take() {
                notice.message = detail.text();
            }
            audience.tell(&Event::Notice(&notice, 0));
        }
    }
}

/// Makes a message of the host's.
pub(super) fn host_notice(level: NoticeLevel, message: String) -> Notice {
    Notice { level, scenario: "".into(), vu: 0, message, from_host: true, detail: None }
}

fn write(name: &str, text: &str) -> Result<(), OutputError> {
    let failed = |source| OutputError::Write { name: name.to_owned(), source };
    match name {
        "stdout" => io::stdout().write_all(text.as_bytes()).map_err(failed),
        "stderr" => io::stderr().write_all(text.as_bytes()).map_err(failed),
        _ => {
            let directory = std::env::current_dir().map_err(failed)?;
            fs::write(place(name, &directory)?, text).map_err(failed)
        }
    }
}

/// Returns the file of that name if it lies in the directory. A journey is not trusted: it may not follow a link out.
fn place(name: &str, directory: &Path) -> Result<PathBuf, OutputError> {
    let refused = || OutputError::Refused { path: name.to_owned() };
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if name.is_empty() || !Path::new(name).components().all(is_plain) {
        return Err(refused());
    }
    let path = directory.join(name);
    let failed = |source| OutputError::Open { path: PathBuf::from(name), source };
    let parent = path.parent().unwrap_or(directory).canonicalize().map_err(failed)?;
    let is_link = path.symlink_metadata().is_ok_and(|file| file.is_symlink());
    if is_link || !parent.starts_with(directory.canonicalize().map_err(failed)?) {
        return Err(refused());
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journey_writes_only_below_the_working_directory() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("reports")).unwrap();
        assert!(place("summary.html", directory.path()).is_ok());
        assert!(place("./reports/a.json", directory.path()).is_ok());
        for refused in ["../a", "/etc/passwd", "reports/../../a", ""] {
            let error = place(refused, directory.path()).unwrap_err();
            assert!(matches!(error, OutputError::Refused { .. }), "{refused}");
        }
        assert!(matches!(place("missing/a", directory.path()), Err(OutputError::Open { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_journey_cannot_follow_a_link_out() {
        let (directory, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), directory.path().join("away")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("file"), directory.path().join("link")).unwrap();
        assert!(place("away/file", directory.path()).is_err());
        assert!(place("link", directory.path()).is_err());
    }
}
