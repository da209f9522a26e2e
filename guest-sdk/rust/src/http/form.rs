//! `application/x-www-form-urlencoded`, as browsers write it.

/// Writes the fields in their order.
pub(super) fn encode(fields: &[(&str, &str)]) -> String {
    let mut encoded = String::new();
    for (name, value) in fields {
        if !encoded.is_empty() {
            encoded.push('&');
        }
        push(&mut encoded, name);
        encoded.push('=');
        push(&mut encoded, value);
    }
    encoded
}

fn push(encoded: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                encoded.push(byte.into());
            }
            b' ' => encoded.push('+'),
            _ => {
                encoded.push('%');
                encoded.push(DIGITS[usize::from(byte >> 4)].into());
                encoded.push(DIGITS[usize::from(byte & 15)].into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn a_form_is_written_as_browsers_do() {
        assert_eq!(encode(&[("user", "ada l"), ("note", "50% & ü")]), "user=ada+l&note=50%25+%26+%C3%BC");
        assert_eq!(encode(&[]), "");
    }
}
