//! Names: the two spellings of an option, its variable, and what the user may have meant.

/// The most edits between a name and what was meant by it.
const MOST_EDITS: usize = 4;

/// `preAllocatedVUs` as `pre-allocated-vus`.
pub(super) fn kebab(key: &str) -> String {
    // Plurals of acronyms are one word.
    let key = key.replace("VUs", "Vus").replace("IPs", "Ips");
    let letters: Vec<char> = key.chars().collect();
    let mut name = String::with_capacity(key.len() + 4);
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(index + 1);
        let ends_word = before.is_some_and(|c| c.is_ascii_lowercase());
        let ends_acronym =
            before.is_some_and(|c| c.is_ascii_uppercase()) && after.is_some_and(char::is_ascii_lowercase);
        if letter.is_ascii_uppercase() && (ends_word || ends_acronym) {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// The variable of an option: `SQUALL_` and its name in capitals, without the table it is in. What is in a table of a
/// table has the name of the inner one behind its own, as flags have: `policy.net.allow` is `SQUALL_ALLOW_NET`.
pub(super) fn variable(key: &str) -> String {
    let path: Vec<&str> = key.split('.').collect();
    let name = match path.as_slice() {
        [_, table, name] => format!("{name}_{table}"),
        [.., name] => (*name).to_owned(),
        [] => String::new(),
    };
    format!("SQUALL_{}", kebab(&name).replace('-', "_").to_uppercase())
}

/// Whether the user wrote this option, in either spelling.
pub(super) fn is_spelled(written: &str, key: &str) -> bool {
    written == key || written == kebab(key)
}

/// The name that the user may have meant, in the spelling the user prefers.
pub(super) fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let wanted = kebab(written);
    let allowed = (1 + wanted.len() / 4).min(MOST_EDITS);
    let distance = |name: &str| {
        let name = kebab(name);
        let in_a_table = name.rsplit_once('.').is_some_and(|(_, last)| last == wanted);
        if in_a_table { 0 } else { strsim::damerau_levenshtein(&wanted, &name) }
    };
    let nearest = names.into_iter().min_by_key(|name| distance(name))?;
    if distance(nearest) > allowed {
        return None;
    }
    let is_kebab = written.contains('-') || written.contains('_');
    Some(if is_kebab { kebab(nearest) } else { nearest.to_owned() })
}

/// "`a`, `b` and `c`".
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        None => "none".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acronyms_are_words() {
        for (camel, kebabed) in [
            ("vus", "vus"),
            ("preAllocatedVUs", "pre-allocated-vus"),
            ("maxVUs", "max-vus"),
            ("startVUs", "start-vus"),
            ("noVUConnectionReuse", "no-vu-connection-reuse"),
            ("insecureSkipTLSVerify", "insecure-skip-tls-verify"),
            ("blacklistIPs", "blacklist-ips"),
            ("per-vu-iterations", "per-vu-iterations"),
            ("limits.iterationTimeout", "limits.iteration-timeout"),
        ] {
            assert_eq!(kebab(camel), kebabed);
        }
    }

    #[test]
    fn a_variable_has_k6s_name_with_our_prefix() {
        assert_eq!(variable("noVUConnectionReuse"), "SQUALL_NO_VU_CONNECTION_REUSE");
        assert_eq!(variable("limits.iterationTimeout"), "SQUALL_ITERATION_TIMEOUT");
        assert_eq!(variable("policy.net.allow"), "SQUALL_ALLOW_NET");
    }

    #[test]
    fn the_nearest_name_keeps_the_users_spelling() {
        let names = ["vus", "maxVUs", "limits.memory", "duration"];
        assert_eq!(nearest("maxVus", names).as_deref(), Some("maxVUs"));
        assert_eq!(nearest("max_vus", names).as_deref(), Some("max-vus"));
        assert_eq!(nearest("durration", names).as_deref(), Some("duration"));
        assert_eq!(nearest("memory", names).as_deref(), Some("limits.memory"));
        assert_eq!(nearest("colour", names), None);
    }
}
