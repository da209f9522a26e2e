//! From the contract's exports to the author's functions: signatures, results, and the data of setup.

mod data;

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Options, runtime};

/// Makes a component of the author's functions.
///
/// The short form takes the function that does what one user does:
///
/// ```
/// fn visit() {}
/// squall_sdk::journey!(visit);
/// # fn main() {}
/// ```
///
/// The long form takes the parts in this order; all but `scenarios` may be left out. A scenario's name is what `exec`
/// says in the options, an identifier or a string.
///
/// ```
/// use squall_sdk::{Error, Options};
///
/// fn options() -> Options { Options::new().vus(10) }
/// fn log_in() -> Result<String, Error> { Ok("token".into()) }
/// fn browse(token: &String) -> Result<(), Error> { Ok(()) }
/// fn check_out() {}
/// fn log_out(token: &String) {}
/// fn summary(json: &str) -> Vec<(String, String)> { vec![("summary.json".into(), json.into())] }
///
/// squall_sdk::journey! {
///     options: options,
///     setup: log_in,
///     scenarios: { default: browse, "check-out": check_out },
///     teardown: log_out,
///     handle_summary: summary,
/// }
/// # fn main() {}
/// ```
///
/// - `options` returns [`Options`], or JSON as a `String` or `&str`. Only `env` and `log` may be used in it.
/// - `setup` returns `Result<T, E>`, where `T` is any `Serialize` and `E` any `Display`. It runs once.
/// - A scenario and `teardown` take `&T` (any `DeserializeOwned`) or nothing, and return `Result<(), E>` or nothing.
///   The data is decoded once for each virtual user, not for each iteration.
/// - `handle_summary` takes the summary as JSON and returns named texts: `stdout`, `stderr` or a relative path.
#[macro_export]
macro_rules! journey {
    ($iterate:path $(,)?) => {
        $crate::journey! { scenarios: { default: $iterate } }
    };
    ($($part:ident: $value:tt),+ $(,)?) => {
        const _: () = {
            $crate::__guest! { Journey, $($part: $value),+ }

            // Native linkers refuse the exports' names; there the journey only has to be correct.
            #[cfg(not(target_family = "wasm"))]
            const _: ::std::option::Option<Journey> = ::std::option::Option::None;
            #[cfg(target_family = "wasm")]
            $crate::__private::export!(Journey with_types_in $crate::__private::bindings);
        };
    };
}

/// The journey without its exports, under a name.
#[doc(hidden)]
#[macro_export]
macro_rules! __guest {
    (
        $guest:ident,
        $(options: $options:path,)?
        $(setup: $setup:path,)?
        scenarios: { $($name:tt : $iterate:path),+ $(,)? }
        $(, teardown: $teardown:path)?
        $(, handle_summary: $summary:path)?
        $(,)?
    ) => {
        struct $guest;

        impl $crate::__private::Guest for $guest {
            fn options() -> ::std::string::String {
                $crate::__part!(
                    [$($crate::__private::options_json($options))?] or [::std::string::String::new()]
                )
            }

            fn setup() -> ::std::result::Result<::std::vec::Vec<u8>, ::std::string::String> {
                $crate::__part!(
                    [$($crate::__private::setup_data($setup))?]
                    or [::std::result::Result::Ok(::std::vec::Vec::new())]
                )
            }

            fn iterate(
                scenario: ::std::string::String,
                data: ::std::vec::Vec<u8>,
            ) -> ::std::result::Result<(), ::std::string::String> {
                $(if scenario == $crate::__scenario_name!($name) {
                    return $crate::__private::step($iterate, data);
                })+
                ::std::result::Result::Err($crate::__private::unknown_scenario(
                    &scenario,
                    &[$($crate::__scenario_name!($name)),+],
                ))
            }

            fn teardown(_data: ::std::vec::Vec<u8>) -> ::std::result::Result<(), ::std::string::String> {
                $crate::__part!(
                    [$($crate::__private::step($teardown, _data))?] or [::std::result::Result::Ok(())]
                )
            }

            fn handle_summary(
                _summary: ::std::string::String,
            ) -> ::std::vec::Vec<(::std::string::String, ::std::string::String)> {
                $crate::__part!(
                    [$($crate::__private::summary_texts($summary, &_summary))?] or [::std::vec::Vec::new()]
                )
            }
        }
    };
}

/// A part of the journey, or what stands for it where the author left it out.
#[doc(hidden)]
#[macro_export]
macro_rules! __part {
    ([] or [$default:expr]) => {
        $default
    };
    ([$part:expr] or [$default:expr]) => {
        $part
    };
}

/// A scenario's name, written as an identifier or as a string.
#[doc(hidden)]
#[macro_export]
macro_rules! __scenario_name {
    ($name:literal) => {
        $name
    };
    ($name:ident) => {
        ::core::stringify!($name)
    };
}

/// What `options` may return.
pub trait IntoOptions {
    /// The options as JSON; empty where there are none.
    fn into_json(self) -> String;
}

impl IntoOptions for Options {
    fn into_json(self) -> String {
        self.to_json()
    }
}

impl IntoOptions for String {
    fn into_json(self) -> String {
        self
    }
}

impl IntoOptions for &str {
    fn into_json(self) -> String {
        self.to_owned()
    }
}

/// What a scenario and `teardown` may return.
pub trait Outcome {
    /// Whether it went well, or why not.
    fn into_result(self) -> Result<(), String>;
}

impl Outcome for () {
    #[inline]
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: Display> Outcome for Result<(), E> {
    #[inline]
    fn into_result(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

/// A function that runs with or without the data of setup. `Takes` only tells the two apart.
pub trait Step<Takes> {
    /// Calls the function.
    fn run(self, data: Vec<u8>) -> Result<(), String>;
}

impl<F: FnOnce() -> R, R: Outcome> Step<()> for F {
    #[inline]
    fn run(self, _: Vec<u8>) -> Result<(), String> {
        self().into_result()
    }
}

impl<F: FnOnce(&T) -> R, T: DeserializeOwned + 'static, R: Outcome> Step<(T,)> for F {
    fn run(self, data: Vec<u8>) -> Result<(), String> {
        let decoded = data::decoded::<T>(data)?;
        self(&decoded).into_result()
    }
}

/// Runs a scenario, or teardown.
#[inline]
pub fn step<Takes>(function: impl Step<Takes>, data: Vec<u8>) -> Result<(), String> {
    runtime::enter();
    function.run(data)
}

/// Runs setup and encodes what it returns.
pub fn setup_data<T: Serialize, E: Display>(setup: impl FnOnce() -> Result<T, E>) -> Result<Vec<u8>, String> {
    runtime::enter();
    let data = setup().map_err(|error| error.to_string())?;
    serde_json::to_vec(&data).map_err(|error| format!("the data of setup cannot be written as JSON: {error}"))
}

/// Runs `options`.
pub fn options_json<O: IntoOptions>(options: impl FnOnce() -> O) -> String {
    runtime::enter();
    options().into_json()
}

/// Runs `handle_summary`.
pub fn summary_texts(handle: impl FnOnce(&str) -> Vec<(String, String)>, summary: &str) -> Vec<(String, String)> {
    runtime::enter();
    handle(summary)
}

/// The error of an `exec` that names no scenario of this journey.
#[cold]
#[must_use]
pub fn unknown_scenario(name: &str, known: &[&str]) -> String {
    format!("the journey has no scenario `{name}`; it has `{}`", known.join("`, `"))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use super::*;
    use crate::__private::Guest;
    use crate::Error;

    #[test]
    fn a_step_takes_the_data_or_nothing_and_may_fail() {
        let count = Cell::new(0);
        let nothing = || count.set(count.get() + 1);
        let fallible = || Err::<(), _>(Error::Timeout);
        let with_data = |n: &u32| if *n == 7 { Ok(()) } else { Err("not 7") };
        assert_eq!(nothing.run(b"7".to_vec()), Ok(()));
        assert_eq!(count.get(), 1);
        assert_eq!(fallible.run(Vec::new()), Err("the request timed out".into()));
        assert_eq!(with_data.run(b"7".to_vec()), Ok(()));
        assert_eq!(with_data.run(b"8".to_vec()), Err("not 7".into()));
    }

    mod whole {
        use super::*;

        pub(super) fn options() -> Options {
            Options::new().vus(3)
        }
        #[expect(clippy::unnecessary_wraps, reason = "setup may fail")]
        pub(super) fn log_in() -> Result<BTreeMap<String, u32>, Error> {
            Ok(BTreeMap::from([("a".into(), 1)]))
        }
        pub(super) fn browse(data: &BTreeMap<String, u32>) -> Result<(), Error> {
            if data["a"] == 1 { Err(Error::new("browsed")) } else { Ok(()) }
        }
        pub(super) fn buy() {}
        pub(super) fn leave(data: &BTreeMap<String, u32>) -> Result<(), String> {
            Err(format!("left with {}", data.len()))
        }
        pub(super) fn summary(json: &str) -> Vec<(String, String)> {
            vec![("stdout".into(), json.to_uppercase())]
        }
    }

    crate::__guest! {
        Whole,
        options: whole::options,
        setup: whole::log_in,
        scenarios: { default: whole::browse, "buy-now": whole::buy },
        teardown: whole::leave,
        handle_summary: whole::summary,
    }

    crate::__guest! { Bare, scenarios: { default: whole::buy } }

    #[test]
    fn every_part_of_a_journey_reaches_its_function() {
        assert_eq!(Whole::options(), r#"{"vus":3}"#);
        let data = Whole::setup().expect("setup succeeds");
        assert_eq!(Whole::iterate("default".into(), data.clone()), Err("browsed".into()));
        assert_eq!(Whole::iterate("buy-now".into(), data.clone()), Ok(()));
        assert_eq!(Whole::teardown(data), Err("left with 1".into()));
        assert_eq!(Whole::handle_summary("{a}".into()), [("stdout".into(), "{A}".into())]);
    }

    #[test]
    fn a_journey_may_be_nothing_but_a_function() {
        assert_eq!(Bare::options(), "");
        assert_eq!(Bare::setup(), Ok(Vec::new()));
        assert_eq!(Bare::iterate("default".into(), Vec::new()), Ok(()));
        assert_eq!(Bare::teardown(Vec::new()), Ok(()));
        assert_eq!(Bare::handle_summary(String::new()), []);
    }

    #[test]
    fn an_unknown_scenario_is_an_error_that_names_the_known_ones() {
        assert_eq!(
            Whole::iterate("bye".into(), Vec::new()),
            Err("the journey has no scenario `bye`; it has `default`, `buy-now`".into())
        );
    }
}
