//! `secrets`: where their values come from, and which hosts they are for. No message shows a value, nor a text that may be
//! one.

use std::collections::BTreeMap;

use super::fields::{Decode, Fields, Given};
use super::findings::Findings;
use super::lower::Lowering;
use super::node::{Node, Place, Spot, Value};
use super::values::{Bytes, Shown};
use crate::plan::{GrantedSecret, Plan, Rule, Secret, is_secret_name};

/// The largest file of a secret, in bytes.
const MOST_BYTES: u64 = 8 << 10;
/// A shorter value is found in texts that have nothing to do with it, in bytes.
const FEW_BYTES: usize = 4;
/// How a source is written.
const SOURCES: &str = "write `file:PATH` or `env:VARIABLE`";

/// Secrets by name, in the order they were written.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct SecretOptions(Vec<(String, SecretOption)>);

/// What is said of a secret.
#[derive(Debug, Clone, PartialEq)]
struct SecretOption {
    spot: Spot,
    from: Option<Given<Source>>,
    hosts: Option<Given<Vec<String>>>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq)]
enum Source {
    File(String),
    Variable(String),
}

impl SecretOptions {
    /// Puts a higher layer on top: of a secret, what it says wins.
    pub fn cover(&mut self, higher: Self) {
        for (name, option) in higher.0 {
            match self.0.iter_mut().find(|(known, _)| *known == name) {
                Some((_, lower)) => {
                    lower.spot = option.spot;
                    lower.from = option.from.or(lower.from.take());
                    lower.hosts = option.hosts.or(lower.hosts.take());
                }
                None => self.0.push((name, option)),
            }
        }
    }
}

impl Decode for SecretOptions {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let mut read = Self::default();
        let is_flag = node.spot.place.has_only_texts();
        let secrets: Vec<_> = match &node.value {
            Value::Table(entries) => entries.iter().map(|(name, node)| secret(name, node, findings)).collect(),
            Value::Text(text) if is_flag => {
                let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
                texts.map(|text| pair(text, node, findings)).collect()
            }
            // Flags that may be repeated hold one each.
            Value::List(items) if is_flag => items.iter().map(|item| flag(item, findings)).collect(),
            _ => {
                refuse(&node.spot, "must be a table of secrets", "write `NAME = \"file:PATH\"` below it", findings);
                return None;
            }
        };
        for secret in secrets {
            let (name, option) = secret?;
            read.cover(Self(vec![(name, option)]));
        }
        Some(read)
    }
}

fn flag(node: &Node, findings: &mut Findings) -> Option<(String, SecretOption)> {
    match &node.value {
        Value::Text(text) => pair(text, node, findings),
        _ => None,
    }
}

/// Reads `NAME=SOURCE`.
fn pair(text: &str, node: &Node, findings: &mut Findings) -> Option<(String, SecretOption)> {
    let Some((name, source)) = text.split_once('=') else {
        refuse(&node.spot, "must be like `NAME=SOURCE`", SOURCES, findings);
        return None;
    };
    secret(name.trim(), &Node::new(Value::Text(source.trim().to_owned()), node.spot.clone()), findings)
}

fn secret(name: &str, node: &Node, findings: &mut Findings) -> Option<(String, SecretOption)> {
    if !is_secret_name(name) {
        // It may be a value that was taken for a name, so it is not shown.
        let hint = "a name is made of letters, digits, `.`, `_` and `-`, at most 64 of them";
        let spot = Spot { name: "secrets".to_owned(), place: node.spot.place.clone() };
        let spot = if node.spot.place.has_only_texts() { &node.spot } else { &spot };
        refuse(spot, "has something that is no name of a secret", hint, findings);
        return None;
    }
    let spot = node.spot.clone();
    let option = if matches!(node.value, Value::Table(_)) {
        let before = findings.errors.len();
        let mut fields = Fields::open(node, findings)?;
        let from = fields.take("from", findings);
        let hosts = fields.take("hosts", findings);
        fields.finish(findings, |_| None);
        (findings.errors.len() == before).then_some(SecretOption { spot, from, hosts })?
    } else {
        let value = Source::decode(node, findings)?;
        let from = Some(Given { value, spot: spot.clone() });
        SecretOption { spot, from, hosts: None }
    };
    Some((name.to_owned(), option))
}

impl Decode for Source {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let source = match &node.value {
            Value::Text(text) => match text.split_once(':') {
                Some(("file", path)) if !path.is_empty() => Some(Self::File(path.to_owned())),
                Some(("env", variable)) if !variable.is_empty() => Some(Self::Variable(variable.to_owned())),
                _ => None,
            },
            _ => None,
        };
        if source.is_none() {
            // It may be the secret itself, so it is not shown.
            refuse(&node.spot, "does not say where the secret comes from", SOURCES, findings);
        }
        source
    }
}

fn refuse(spot: &Spot, is: &str, hint: &str, findings: &mut Findings) {
    let message = format!("`{}` {is}", findings.name(spot));
    findings.refuse(spot, &message, hint);
}

impl Lowering<'_> {
    /// Reads the secrets, and sees to it that nothing else of the plan gives them away. To be called when the rest of the
    /// plan is there. What a journey names is refused and never touched.
    pub(super) fn secrets(&mut self, plan: &Plan) -> BTreeMap<String, GrantedSecret> {
        let layer = self.layer;
        let given = layer.secrets.iter().flat_map(|given| &given.value.0);
        let mut secrets = BTreeMap::new();
        for (name, option) in given.filter(|(_, option)| option.spot.place != Place::Journey) {
            let (value, hosts) = (self.secret_value(name, option), self.secret_hosts(name, option, plan));
            if let (Some(value), Some(hosts)) = (value, hosts) {
                self.keep_out_of_variables(name, option, &value, plan);
                secrets.insert(name.clone(), GrantedSecret { value, hosts });
            }
        }
        if !secrets.is_empty() {
            self.keep_the_journey_from_hosts();
        }
        secrets
    }

    fn secret_value(&mut self, name: &str, option: &SecretOption) -> Option<Secret> {
        let Some(from) = &option.from else {
            refuse(&option.spot, "has no `from`", SOURCES, self.findings);
            return None;
        };
        let (source, read) = match &from.value {
            Source::File(path) => {
                let path = self.beside.files.path(path, &from.spot);
                let source = format!("the file `{}`", path.display());
                (source, self.beside.files.read(&path, MOST_BYTES).map(without_line_end))
            }
            Source::Variable(variable) => {
                let mut same = self.beside.environment.iter().filter(|(known, _)| known == variable);
                let value = same.next().map(|(_, value)| value.clone().into_bytes());
                (format!("the variable `{variable}`"), value.ok_or_else(|| "it is not set, or not text".to_owned()))
            }
        };
        let wrong = match read {
            Err(error) => error,
            Ok(bytes) if bytes.is_empty() => "it is empty".to_owned(),
            Ok(bytes) if bytes.len() as u64 > MOST_BYTES => format!("it has more than {}", Bytes(MOST_BYTES).shown()),
            Ok(bytes) => match String::from_utf8(bytes) {
                Err(_) => "it is not UTF-8 text".to_owned(),
                // A line break in a header would let it write further headers.
                Ok(text) if text.chars().any(|char| char.is_control() && char != '\t') => {
                    "it has a line break or another control character inside".to_owned()
                }
                Ok(text) => {
                    self.warn_of_short(name, &text, &from.spot);
                    return Some(Secret(text));
                }
            },
        };
        let message = format!("`{}`: {source} cannot be the secret `{name}`: {wrong}", from.spot.name);
        let hint = "give it one line of text; a line break at the end of a file does not count";
        self.findings.refuse(&from.spot, &message, hint);
        None
    }

    fn warn_of_short(&mut self, name: &str, value: &str, spot: &Spot) {
        if value.len() >= FEW_BYTES {
            return;
        }
        let message = format!(
            "`{}`: the secret `{name}` has fewer than {FEW_BYTES} bytes, and every text that happens to hold them is \
             shown without them",
            spot.name
        );
        let problem = self.findings.problem(spot, &message).hint("use a longer secret: a short one is guessed as well");
        self.findings.warn(problem);
    }

    /// The hosts of a secret: those that it names, or those that the network policy allows by name.
    fn secret_hosts(&mut self, name: &str, option: &SecretOption, plan: &Plan) -> Option<Vec<Rule>> {
        let given = option.hosts.as_ref().filter(|given| !given.value.is_empty());
        let hosts: Vec<Rule> = match given {
            Some(given) => self.rules_of(given)?,
            None => plan.policy.net.allow.iter().filter(|rule| rule.is_by_name()).cloned().collect(),
        };
        if hosts.is_empty() {
            let message = format!("`{}`: no host is said that the secret `{name}` may go to", option.spot.name);
            let hint = format!(
                "write `[secrets.{name}]` with `hosts = [\"https://api.example.com\"]` in `squall.toml`, or allow the \
                 journey such hosts with `--allow-net`"
            );
            self.findings.refuse(&option.spot, &message, &hint);
            return None;
        }
        let from = option.from.as_ref().map_or_else(String::new, |from| match &from.value {
            Source::File(path) => format!("file:{}", self.beside.files.path(path, &from.spot).display()),
            Source::Variable(variable) => format!("env:{variable}"),
        });
        let listed = hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        self.origins.push(None, &format!("secrets.{name}"), &format!("{from} for {listed}"), option.spot.origin());
        Some(hosts)
    }

    /// Reads hosts as rules of the network are read, but for those that anybody can be.
    fn rules_of(&mut self, given: &Given<Vec<String>>) -> Option<Vec<Rule>> {
        let mut rules = Vec::new();
        for text in &given.value {
            let wrong = match text.parse::<Rule>() {
                Ok(rule) if rule.is_everybody() || rule.is_ragged() => format!("`{text}` fits hosts of strangers"),
                Ok(rule) => {
                    rules.push(rule);
                    continue;
                }
                Err(error) => error.to_string(),
            };
            let message = format!("`{}`: {wrong}", given.spot.name);
            let hint = "write hosts like `https://api.example.com`, `api.example.com:8443` or `*.example.com`";
            self.findings.refuse(&given.spot, &message, hint);
        }
        (rules.len() == given.value.len()).then_some(rules)
    }

    /// A journey must not find in its variables what it is to name only.
    fn keep_out_of_variables(&mut self, name: &str, option: &SecretOption, value: &Secret, plan: &Plan) {
        let of_scenarios = plan.scenarios.iter().flat_map(|scenario| &scenario.env);
        let mut variables = plan.env.iter().chain(of_scenarios);
        let Some((variable, _)) = variables.find(|(_, granted)| granted.contains(&value.0)) else { return };
        let message = format!("the variable `{variable}`, which the journey may read, holds the secret `{name}`");
        self.findings.refuse(&option.spot, &message, "do not grant the variable, or do without the secret");
    }

    /// Whoever says where a host is, or whom to believe that it is that host, says who gets its secrets.
    fn keep_the_journey_from_hosts(&mut self) {
        let layer = self.layer;
        let of_hosts = layer.hosts.iter().flat_map(|given| given.value.0.iter().map(|(_, place)| &place.spot));
        let of_names =
            layer.tls_server_name.iter().flat_map(|given| given.value.0.0.iter().map(|(_, name)| &name.spot));
        let skips = layer.insecure_skip_tls_verify.as_ref().filter(|given| given.value).map(|given| &given.spot);
        let roots = layer.tls_roots.as_ref().map(|given| &given.spot);
        let spots = of_hosts.chain(of_names).chain(skips).chain(roots);
        for spot in spots.filter(|spot| spot.place == Place::Journey) {
            let message = format!("`{}` is not for the journey to set in a run with secrets", spot.name);
            self.findings.refuse(spot, &message, "set it in `squall.toml` or with a flag");
        }
    }
}

/// Editors end the last line of a file as well.
fn without_line_end(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    bytes
}
