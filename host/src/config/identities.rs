//! The option `tlsAuth`: certificates of this client, as PEM or as the paths of files that hold it.

use super::fields::{Decode, Fields, Given};
use super::findings::Findings;
use super::node::{Node, Spot, Value};
use super::values::reported;

/// A certificate of this client as the user wrote it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct IdentityOption {
    /// Where it is as a whole.
    pub spot: Spot,
    pub cert: Given<String>,
    /// The key; without it, it stands beside the certificate.
    pub key: Option<Given<Hidden>>,
    pub password: Option<Given<Hidden>>,
    pub domains: Option<Given<Vec<String>>>,
}

/// A text that no message shows.
#[derive(Clone, PartialEq)]
pub(super) struct Hidden(pub String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden(hidden)")
    }
}

impl Decode for Hidden {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        if let Value::Text(text) = &node.value {
            return Some(Self(text.clone()));
        }
        let message = format!("`{}` must be a text", findings.name(&node.spot));
        findings.refuse(&node.spot, &message, "put it in quotes");
        None
    }
}

impl Decode for Vec<IdentityOption> {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let identities: Vec<_> = match &node.value {
            Value::List(items) => items.iter().map(|item| identity(item, findings)).collect(),
            Value::Table(_) => vec![identity(node, findings)],
            Value::Text(text) if node.spot.place.has_only_texts() => {
                let Ok(json) = serde_json::from_str(text) else {
                    // The text holds keys, so the message does not.
                    let message = format!("`{}` is not JSON", findings.name(&node.spot));
                    findings.refuse(
                        &node.spot,
                        &message,
                        "write a list like `[{\"cert\":\"me.pem\",\"key\":\"me.key\"}]`",
                    );
                    return None;
                };
                return Self::decode(&Node::json(json, node.spot.clone()), findings);
            }
            _ => return reported(None, node, "a list of tables with `cert` and `key`", findings),
        };
        identities.into_iter().collect()
    }
}

fn identity(node: &Node, findings: &mut Findings) -> Option<IdentityOption> {
    if !matches!(node.value, Value::Table(_)) {
        // Not shown: it may be a key.
        let message = format!("`{}` must be a table with `cert` and `key`", findings.name(&node.spot));
        findings.refuse(&node.spot, &message, "write `{ cert = \"me.pem\", key = \"me.key\" }`");
        return None;
    }
    let before = findings.errors.len();
    let mut fields = Fields::open(node, findings)?;
    let cert = fields.take("cert", findings);
    let key = fields.take("key", findings);
    let password: Option<Given<Hidden>> = fields.take("password", findings);
    let domains = fields.take("domains", findings);
    fields.finish(findings, |_| None);
    if findings.errors.len() > before {
        return None;
    }
    let Some(cert) = cert else {
        let message = format!("`{}` has no `cert`", findings.name(&node.spot));
        findings.refuse(&node.spot, &message, "name the file of the certificate, or put its PEM text there");
        return None;
    };
    let password = password.filter(|given| !given.value.0.is_empty());
    Some(IdentityOption { spot: node.spot.clone(), cert, key, password, domains })
}
