//! The outputs, and which of them have failed.

use crate::output::{Event, Output};
use crate::verdict::Report;
use crate::vu::{Notice, NoticeLevel};

/// Outputs that are told of events together. One that fails is not told of anything any more.
pub(super) struct Audience {
    members: Vec<Member>,
    /// What went wrong, once for each output that failed.
    errors: Vec<String>,
}

struct Member {
    /// Its place among all outputs of the run.
    place: usize,
    output: Box<dyn Output>,
    has_failed: bool,
}

impl Audience {
    pub(super) fn new(outputs: Vec<(usize, Box<dyn Output>)>) -> Self {
        let members = outputs.into_iter().map(|(place, output)| Member { place, output, has_failed: false }).collect();
        Self { members, errors: Vec::new() }
    }

    /// Tells all of an event. An output that fails becomes a message to the others.
    pub(super) fn tell(&mut self, event: &Event<'_>) {
        let members = self.members.iter_mut().filter(|member| !member.has_failed);
        let errors: Vec<String> = members.filter_map(|member| member.tell(event)).collect();
        for error in errors {
            self.fail(error);
        }
    }

    /// Keeps what went wrong and tells all of it.
    pub(super) fn fail(&mut self, error: String) {
        let notice = failure(&error);
        self.errors.push(error);
        self.tell(&Event::Notice(&notice, 0));
    }

    /// Tells all of the end, in the order the outputs were given in; those that the journey's own summary replaces only
    /// if there is none.
    pub(super) fn finish(&mut self, report: &Report, is_replaced: bool) {
        self.members.sort_by_key(|member| member.place);
        let event = Event::Finished(report);
        let mut errors = Vec::new();
        for member in self.members.iter_mut().filter(|member| !member.has_failed) {
            if !(is_replaced && member.output.is_replaced_by_journey()) {
                errors.extend(member.tell(&event));
            }
        }
        for error in errors {
            self.fail(error);
        }
    }

    /// Offers the texts of the journey's own summary to all, and returns what nobody took.
    pub(super) fn take_texts(&mut self, texts: Vec<(String, String)>) -> Vec<(String, String)> {
        self.members.iter_mut().fold(texts, |texts, member| member.output.take_texts(texts))
    }

    /// Takes others in.
    pub(super) fn join(&mut self, mut others: Self) {
        self.members.append(&mut others.members);
        self.errors.append(&mut others.errors);
    }

    /// What went wrong, once for each output that failed.
    pub(super) fn errors(&self) -> &[String] {
        &self.errors
    }
}

impl Member {
    fn tell(&mut self, event: &Event<'_>) -> Option<String> {
        let error = self.output.handle(event).err()?;
        self.has_failed = true;
        let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        Some(format!("{}{hint}", error.full()))
    }
}

/// Makes a message of what went wrong with an output.
pub(super) fn failure(error: &str) -> Notice {
    Notice {
        level: NoticeLevel::Error,
        scenario: "".into(),
        vu: 0,
        message: error.to_owned(),
        from_host: true,
        detail: None,
    }
}
