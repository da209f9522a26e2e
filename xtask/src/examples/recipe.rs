//! How an example is run, as its `Cargo.toml` says in `[package.metadata.squall]`.
//!
//! ```toml
//! [package.metadata.squall]
//! run = ["--vus", "2", "--duration", "2s"]     # what follows `squall run NAME.wasm`
//! arguments = ["--times", "3"]                 # what follows `--`, for a program
//! target = ["--tcp", "127.0.0.1:{port:tcp}"]   # what follows `squall target`
//! env = { TCP = "127.0.0.1:{port:tcp}" }       # beside `BASE_URL`
//! saw = ["/requests"]                          # JSON Pointers into `/__stats`: what must be more than 0
//! ```
//!
//! All of it may be left out. In `run`, `arguments`, `target` and `env` these stand for what is known only then:
//! `{url}` and `{host}` are the practice server's (not in `target`), `{port:NAME}` is a free port, the same wherever it has
//! this name, `{journey:NAME}` the file of another component, and `{root}` the folder of the workspace.

use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace::{cargo, journey, root};

/// How one example is run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recipe {
    pub name: String,
    pub run: Vec<String>,
    pub arguments: Vec<String>,
    pub target: Vec<String>,
    pub env: Vec<(String, String)>,
    pub saw: Vec<String>,
}

/// What stands for the names in braces.
#[derive(Debug, Default)]
pub struct Places {
    url: Option<String>,
    ports: BTreeMap<String, u16>,
}

/// The recipes of all examples, by name.
pub fn all() -> Result<Vec<Recipe>> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--locked", "--offline", "--format-version", "1"])
        .output()
        .context("`cargo metadata` did not start")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("`cargo metadata` printed no JSON")?;
    let folder = root().join("examples");
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_example = |package: &&Value| {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        std::path::Path::new(manifest).starts_with(&folder)
    };
    let mut recipes = packages.iter().filter(is_example).map(Recipe::of).collect::<Result<Vec<_>>>()?;
    recipes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(recipes)
}

impl Recipe {
    fn of(package: &Value) -> Result<Self> {
        let name = package["name"].as_str().unwrap_or_default();
        let given = match &package["metadata"]["squall"] {
            Value::Null => serde_json::Map::new(),
            Value::Object(given) => given.clone(),
            _ => bail!("`package.metadata.squall` of the example `{name}` is not a table"),
        };
        let mut recipe = Self {
            name: name.to_owned(),
            run: owned(&["--vus", "2", "--iterations", "4"]),
            saw: owned(&["/requests"]),
            env: vec![("BASE_URL".to_owned(), "{url}".to_owned())],
            ..Self::default()
        };
        for (key, value) in given {
            let wrong = || format!("`{key}` in `package.metadata.squall` of the example `{name}`");
            match key.as_str() {
                "run" => recipe.run = texts(&value).with_context(wrong)?,
                "arguments" => recipe.arguments = texts(&value).with_context(wrong)?,
                "target" => recipe.target = texts(&value).with_context(wrong)?,
                "saw" => recipe.saw = texts(&value).with_context(wrong)?,
                "env" => {
                    let table = value.as_object().context("it is not a table").with_context(wrong)?;
                    for (name, value) in table {
                        recipe.env.push((name.clone(), text(value).with_context(wrong)?));
                    }
                }
                _ => bail!("{} is not known", wrong()),
            }
        }
        Ok(recipe)
    }
}

impl Places {
    /// Where the practice server is.
    pub fn know(&mut self, url: &str) {
        self.url = Some(url.to_owned());
    }

    /// Puts in what stands for the names in braces.
    pub fn fill(&mut self, text: &str) -> Result<String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) =
                after.split_once('}').with_context(|| format!("`{text}` has a `{{` without its `}}`"))?;
            filled.push_str(before);
            filled.push_str(&self.value(name).with_context(|| format!("`{{{name}}}` in `{text}`"))?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&mut self, name: &str) -> Result<String> {
        let url = || self.url.as_deref().context("where the server is, is not known yet");
        match name.split_once(':') {
            None if name == "url" => Ok(url()?.to_owned()),
            None if name == "host" => Ok(url()?.trim_start_matches("http://").to_owned()),
            None if name == "root" => Ok(root().display().to_string()),
            Some(("journey", name)) => Ok(journey(name).display().to_string()),
            Some(("port", name)) => {
                let port = match self.ports.get(name) {
                    Some(port) => *port,
                    None => free_port()?,
                };
                self.ports.insert(name.to_owned(), port);
                Ok(port.to_string())
            }
            _ => bail!("it stands for nothing\n  hint: `url`, `host`, `root`, `port:NAME` and `journey:NAME` do"),
        }
    }
}

/// A port that is free for TCP and for UDP. Somebody else may take it before it is used, which is rare and fails loudly.
fn free_port() -> Result<u16> {
    for _ in 0..20 {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port was found")
}

fn texts(value: &Value) -> Result<Vec<String>> {
    value.as_array().context("it is not a list")?.iter().map(text).collect()
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().context("a value of it is not a text")?.to_owned())
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_example_that_says_nothing_gets_a_few_iterations() {
        let recipe = Recipe::of(&json!({"name": "x", "metadata": null})).unwrap();
        assert_eq!(recipe.run, ["--vus", "2", "--iterations", "4"]);
        assert_eq!(recipe.env, [("BASE_URL".to_owned(), "{url}".to_owned())]);
        assert_eq!(recipe.saw, ["/requests"]);
    }

    #[test]
    fn what_an_example_says_takes_the_place_of_it() {
        let metadata = json!({"squall": {"run": [], "env": {"A": "b"}, "saw": ["/x"], "arguments": ["1"]}});
        let recipe = Recipe::of(&json!({"name": "x", "metadata": metadata})).unwrap();
        assert_eq!((recipe.run.len(), recipe.env.len()), (0, 2));
        assert_eq!((recipe.saw, recipe.arguments), (owned(&["/x"]), owned(&["1"])));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (metadata, words) in [
            (json!({"runs": []}), "`runs`"),
            (json!({"run": "x"}), "not a list"),
            (json!({"env": {"A": 1}}), "not a text"),
            (json!(1), "not a table"),
        ] {
            let error = Recipe::of(&json!({"name": "x", "metadata": {"squall": metadata}})).unwrap_err();
            let text = format!("{error:#}");
            assert!(text.contains(words) && text.contains("`x`"), "{text}");
        }
    }

    #[test]
    fn names_in_braces_are_filled_in_and_a_port_keeps_its_name() {
        let mut places = Places::default();
        assert!(places.fill("{url}").is_err());
        places.know("http://127.0.0.1:80");
        assert_eq!(places.fill("{url}/x").unwrap(), "http://127.0.0.1:80/x");
        assert_eq!(places.fill("tcp://{host}").unwrap(), "tcp://127.0.0.1:80");
        let port = places.fill("{port:a}").unwrap();
        assert_eq!(places.fill(":{port:a}:").unwrap(), format!(":{port}:"));
        assert_ne!(places.fill("{port:b}").unwrap(), port);
        for text in ["{nothing}", "{url"] {
            assert!(places.fill(text).is_err());
        }
    }

    #[test]
    fn every_example_has_a_recipe() {
        let names: Vec<_> = all().unwrap().into_iter().map(|recipe| recipe.name).collect();
        assert!(names.contains(&"quickstart".to_owned()), "{names:?}");
    }
}
