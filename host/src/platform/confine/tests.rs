//! What a confined process can do and cannot. Each deed is done by this test binary, started again for it: the doors do
//! not open any more.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};
use std::thread;

use rustix::process::Signal;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use super::*;

/// Names the deed to do, in a process that was started for it.
const DEED: &str = "SQUALL_TEST_CONFINED_DEED";

/// Does a deed in a confined process, and returns what came of it.
#[track_caller]
fn does(deed: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = "platform::confine::tests::does_what_it_is_told_in_confinement";
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(DEED, deed).env_remove("RUST_BACKTRACE");
    command.output().unwrap()
}

/// Asserts that the deed came to its end, with this result.
#[track_caller]
fn expect(deed: &str, result: &str) {
    let output = does(deed);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stdout.contains(&format!("result: {result}")), "{deed}: {}\n{stdout}\n{stderr}", output.status);
}

/// Asserts that the system ended the process for it.
#[track_caller]
fn expect_the_end(deed: &str) {
    let output = does(deed);
    let signal = output.status.signal();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        signal == Some(Signal::SYS.as_raw()) && watches(Signal::SYS.as_raw()),
        "{deed}: {}\n{stdout}",
        output.status
    );
}

fn walls() -> Walls {
    Walls { landlock: true, memory: 4 << 30 }
}

/// Not a test of its own: what the others start.
#[test]
fn does_what_it_is_told_in_confinement() {
    let Ok(deed) = std::env::var(DEED) else { return };
    let result = match deed.as_str() {
        "an old kernel" => {
            without_landlock();
            enter(walls()).map_or_else(|error| error.to_string(), |_| "entered".to_owned())
        }
        "no landlock wanted" => {
            without_landlock();
            enter(Walls { landlock: false, ..walls() }).unwrap().to_string()
        }
        "compile" => {
            let walls = Walls { memory: 256 << 20, ..walls() };
            enter(walls).unwrap();
            let large = || Vec::<u8>::new().try_reserve_exact(1 << 30).map_or("refused", |()| "granted");
            let before = large();
            unlimit_memory().unwrap();
            format!("{before}, then {}", large())
        }
        deed => {
            let server = TcpListener::bind("127.0.0.1:0").unwrap();
            let folder = tempfile::tempdir().unwrap();
            let socket = folder.path().join("socket");
            let _unix = UnixListener::bind(&socket).unwrap();
            enter(walls()).unwrap();
            let address = server.local_addr().unwrap();
            // The listener was there before; nothing accepts inside.
            let result = confined(deed, address, &socket);
            // What cleans up needs the doors open.
            let _ = folder.keep();
            result
        }
    };
    println!("result: {result}");
    io::stdout().flush().unwrap();
    // The test runner's other thread is not confined; this one has done its duty.
    std::process::exit(0);
}

#[expect(clippy::disallowed_methods, reason = "what is tried here is refused")]
fn confined(deed: &str, address: std::net::SocketAddr, socket: &std::path::Path) -> String {
    let told = |result: io::Result<String>| result.unwrap_or_else(|error| error.kind().to_string());
    match deed {
        "read a file" => told(fs::read_to_string("/etc/passwd").map(|_| "read".to_owned())),
        "read the environment" => told(fs::read("/proc/self/environ").map(|_| "read".to_owned())),
        "list a folder" => told(fs::read_dir("/").map(|_| "listed".to_owned())),
        "write a file" => told(fs::write(socket.with_extension("new"), "x").map(|()| "written".to_owned())),
        "resolve names" => told(fs::read_to_string("/etc/hosts").map(|_| "read".to_owned())),
        "watch the machine" => told(fs::read_to_string("/proc/stat").map(|_| "read".to_owned())),
        "connect" => told(TcpStream::connect(address).map(|_| "connected".to_owned())),
        "send a datagram" => told(
            UdpSocket::bind("127.0.0.1:0")
                .and_then(|from| from.send_to(b"x", address).map(|sent| format!("{sent} sent"))),
        ),
        "reach a Unix socket" => told(UnixStream::connect(socket).map(|_| "connected".to_owned())),
        "start a thread" => thread::spawn(|| "started".to_owned()).join().unwrap(),
        "give up" => {
            forbid_new_code().unwrap();
            let mut random = [0; 4];
            let read = fs::File::open("/proc/stat").and_then(|mut file| file.read(&mut random));
            told(read.map(|_| "still works".to_owned()))
        }
        "make code" => {
            forbid_new_code().unwrap();
            executable()
        }
        "make code in time" => executable(),
        "start a program" => told(Command::new("true").status().map(|_| "started".to_owned())),
        "listen" => told(TcpListener::bind("127.0.0.1:0").map(|_| "listens".to_owned())),
        "look at packets" => {
            let packets = rustix_socket(libc::AF_PACKET);
            told(packets)
        }
        "signal another process" => {
            let parent = rustix::process::getppid().unwrap();
            let sent = rustix::process::test_kill_process(parent);
            told(sent.map(|()| "sent".to_owned()).map_err(Into::into))
        }
        "debug itself" => told(
            rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)
                .map(|()| "dumpable".to_owned())
                .map_err(Into::into),
        ),
        _ => panic!("`{deed}` is no deed"),
    }
}

/// Memory that may be run as code.
#[allow(unsafe_code, reason = "the system call is what is tested")]
fn executable() -> String {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
    // SAFETY: the system chooses a place where nothing is.
    let mapped =
        unsafe { mmap_anonymous(std::ptr::null_mut(), 4096, ProtFlags::READ | ProtFlags::EXEC, MapFlags::PRIVATE) };
    mapped.map_or_else(|error| error.to_string(), |_| "made".to_owned())
}

/// Opens a raw socket of a family.
#[allow(unsafe_code, reason = "no safe interface opens a socket of this family")]
fn rustix_socket(family: i32) -> io::Result<String> {
    // SAFETY: three numbers go in, and a number comes out.
    let number = unsafe { libc::socket(family, libc::SOCK_RAW, 0) };
    if number < 0 { Err(io::Error::last_os_error()) } else { Ok("opened".to_owned()) }
}

/// Makes this thread's kernel one without landlock.
fn without_landlock() {
    let calls = [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_restrict_self];
    let rules = calls.into_iter().map(|call| (call, Vec::new())).collect();
    let absent = SeccompAction::Errno(libc::ENOSYS as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, absent, calls::architecture().unwrap()).unwrap();
    seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

#[test]
fn files_cannot_be_read_listed_or_written() {
    for deed in ["read a file", "read the environment", "list a folder", "write a file"] {
        expect(deed, "permission denied");
    }
}

#[test]
fn what_resolving_and_the_verdict_need_can_be_read() {
    expect("resolve names", "read");
    expect("watch the machine", "read");
}

#[test]
fn a_load_can_do_its_work() {
    expect("connect", "connected");
    expect("send a datagram", "1 sent");
    expect("start a thread", "started");
    expect("give up", "still works");
    expect("make code in time", "made");
}

#[test]
fn other_sockets_are_refused_and_raw_ones_end_the_process() {
    let output = does("reach a Unix socket");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("result: ") && !stdout.contains("connected"), "{stdout}");
    expect_the_end("look at packets");
}

#[test]
fn programs_listeners_signals_and_new_code_end_the_process() {
    for deed in ["start a program", "listen", "signal another process", "debug itself", "make code"] {
        expect_the_end(deed);
    }
}

#[test]
fn a_system_without_landlock_is_refused_by_name_unless_the_user_does_without() {
    expect("an old kernel", "landlock is missing: the kernel was built without it");
    expect("no landlock wanted", "no landlock, seccomp");
}

#[test]
fn memory_is_limited_until_the_limit_is_taken_away() {
    expect("compile", "refused, then granted");
}
