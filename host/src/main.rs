//! The `squall` command. Everything it does, an embedder can do with the library's public interface.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
