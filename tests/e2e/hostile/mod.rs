//! Servers that send what no server should, and what squall makes of them: the right answer or a named error, in bounded
//! time and bounded memory.
//!
//! Every test prints a line of the table in `docs/http.md`:
//! `cargo test -p squall --test e2e hostile:: -- --nocapture --test-threads 1`.

mod bodies;
mod connections;
mod heads;
mod slow;
mod trial;
