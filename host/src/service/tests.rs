//! What is refused before anything is served.

use std::net::{Ipv4Addr, SocketAddr};

use super::*;

fn options() -> Options {
    Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        threads: NonZeroUsize::MIN,
        memory: 1 << 20,
        timeout: Duration::from_secs(5),
        env: Vec::new(),
        tell: Arc::new(|_| {}),
    }
}

fn refused(text: &str) -> String {
    serve(&wat::parse_str(text).unwrap(), &options()).unwrap_err().to_string()
}

/// A component with a handler that is no function of the right type.
const NO_FUNCTION: &str =
    r#"(component (instance $empty) (export "wasi:http/incoming-handler@0.2.0" (instance $empty)))"#;

#[test]
fn a_component_that_answers_no_requests_is_refused_by_what_it_exports() {
    let no_handler = "it exports no `wasi:http/incoming-handler@0.2`, so it answers no requests; it exports";
    assert_eq!(refused("(component)"), format!("{no_handler} nothing"));
    let other = r#"(component (instance $empty) (export "wasi:cli/run@0.2.6" (instance $empty)))"#;
    assert_eq!(refused(other), format!("{no_handler} `wasi:cli/run@0.2.6`"));
    assert!(refused(NO_FUNCTION).starts_with("it needs what a service does not have: "), "{}", refused(NO_FUNCTION));
    assert!(refused("(module)").contains("it is a core module, not a component"));
}

#[test]
fn an_address_that_is_taken_is_told_after_the_component_was_read() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let options = Options { listen: taken.local_addr().unwrap(), ..options() };
    let error = serve(b"(nothing)", &options).unwrap_err();
    assert!(matches!(error, ServeError::Compile { .. }), "{error}");
}
