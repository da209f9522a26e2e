//! What only one kind of component has: arguments, which a journey has not, and entries, which a program has not.

use super::fields::Given;
use super::lower::Lowering;
use crate::plan::Kind;

impl Lowering<'_> {
    /// What a program is called with.
    pub(super) fn args(&mut self) -> Vec<String> {
        let args = self.layer.args.as_ref();
        let scenarios = self.layer.scenarios.as_ref();
        let own = scenarios.iter().flat_map(|given| &given.value).filter_map(|scenario| scenario.args.as_ref());
        if self.beside.kind == Kind::Journey {
            for given in args.into_iter().chain(own) {
                self.refuse_args(given);
            }
            return Vec::new();
        }
        for exec in scenarios.iter().flat_map(|given| &given.value).filter_map(|scenario| scenario.exec.as_ref()) {
            if exec.value != "default" {
                let message = format!("`{}`: a program has no entry `{}`", exec.spot.name, exec.value);
                self.findings.refuse(&exec.spot, &message, "leave it out; `args` may tell the program what to do");
            }
        }
        self.pick("args", args, Vec::new())
    }

    fn refuse_args(&mut self, given: &Given<Vec<String>>) {
        let message = format!("`{}`: a journey takes no arguments", given.spot.name);
        self.findings.refuse(&given.spot, &message, "give it variables, like `--env NAME=VALUE`");
    }
}
