//! The whole way from what the user typed to a plan.

mod documentation;
mod executors;
mod grants;
mod http;
mod layers;
mod limits;
mod mistakes;
mod policy;
mod programs;
mod secrets;
mod tls;

use std::io;
use std::path::Path;

use super::{FileReader, Flags, Lowered, Sources, lower};
use crate::plan::Kind;

const CERT: &str = "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nB\n-----END PRIVATE KEY-----\n";

/// The files there are.
fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let bytes = match path.to_str().unwrap() {
        "me.pem" | "conf/me.pem" => CERT.as_bytes().to_vec(),
        "me.key" | "conf/me.key" => KEY.as_bytes().to_vec(),
        "both.pem" => [CERT, KEY].concat().into_bytes(),
        "me.der" => vec![0x30, 0x82, 0xff],
        "data/users.csv" | "conf/users.csv" => b"ann,bob".to_vec(),
        "key.txt" => b"hunter2!\r\n".to_vec(),
        "half" => vec![0; 600 << 20],
        _ => return Err(io::ErrorKind::NotFound.into()),
    };
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has {} bytes", bytes.len())));
    }
    Ok(bytes)
}

/// Sources that a test puts together.
#[derive(Default)]
struct Typed {
    kind: Kind,
    journey: Option<&'static str>,
    file: Option<&'static str>,
    environment: Vec<(String, String)>,
    flags: Flags,
    scenario: Option<&'static str>,
}

impl Typed {
    fn journey(json: &'static str) -> Self {
        Self::default().and_journey(json)
    }

    fn file(toml: &'static str) -> Self {
        Self { file: Some(toml), ..Self::default() }
    }

    fn flags(flags: &[(&'static str, &str)]) -> Self {
        Self::default().and_flags(flags)
    }

    fn for_program(self) -> Self {
        Self { kind: Kind::Program, ..self }
    }

    fn and_journey(mut self, json: &'static str) -> Self {
        self.journey = Some(json);
        self
    }

    fn and_variables(mut self, variables: &[(&str, &str)]) -> Self {
        self.environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self
    }

    /// Each flag is named after its key.
    fn and_flags(mut self, flags: &[(&'static str, &str)]) -> Self {
        for (key, text) in flags {
            self.flags.set(key, &format!("--{}", super::names::kebab(key)), *text);
        }
        self
    }

    fn sources(&self) -> Sources<'_> {
        Sources {
            kind: self.kind,
            journey_options: self.journey,
            file: self.file.map(|text| (Path::new("squall.toml"), text)),
            reader: FileReader::new(&read),
            environment: &self.environment,
            flags: self.flags.clone(),
            scenario: self.scenario.map(str::to_owned),
        }
    }

    fn lower(&self) -> Lowered {
        lower(&self.sources()).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// Everything wrong, as it is printed.
    fn problems(&self) -> String {
        lower(&self.sources()).expect_err("something is wrong").to_string()
    }

    /// What is only worth knowing, as it is printed.
    fn warnings(&self) -> String {
        let warnings: Vec<String> = self.lower().warnings.iter().map(ToString::to_string).collect();
        warnings.join("\n")
    }
}

/// Where a value of the run, or of the scenario before the `/`, came from.
fn from<'a>(lowered: &'a Lowered, key: &str) -> &'a str {
    let (scenario, key) = key.split_once('/').map_or((None, key), |(scenario, key)| (Some(scenario), key));
    &lowered.origins.get(scenario, key).unwrap().from
}
